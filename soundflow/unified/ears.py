"""What turns a session's chunks into frames, tower by tower: the port, and the published one's.

Shape suffixes: B sessions, S samples, P frames, D width.
"""

import struct
from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
from torch import Tensor

from soundflow.frontend import Array
from soundflow.unified.audio_tower import AudioTower
from soundflow.unified.logmel import TAIL_SAMPLES, LogMel, MelState

StateT = TypeVar("StateT")


class Ears(Protocol[StateT]):
    """A tower that listens live; all that must outlive a chunk is in the state passed through."""

    def initial(self) -> StateT:
        """Return the state of a session that has heard nothing."""
        ...

    def hear(self, pcm_BS: Array, states: Sequence[StateT]) -> tuple[Tensor, Sequence[StateT]]:
        """Take one chunk of each session; return frames `(B, 10, D)` and the next states."""
        ...

    def dump(self, state: StateT) -> bytes:
        """Serialise a state."""
        ...

    def load(self, data: bytes) -> StateT:
        """Restore what `dump` wrote; ValueError when it was not written by such ears."""
        ...


class PublishedEars:
    """Implement `Ears[MelState]` with an `AudioTower`."""

    def __init__(self, tower: AudioTower) -> None:
        self._tower = tower
        self._front = front_of(tower)

    def initial(self) -> MelState:
        """Return the state of a session that has heard nothing."""
        return self._front.initial()

    def hear(self, pcm_BS: Array, states: Sequence[MelState]) -> tuple[Tensor, Sequence[MelState]]:
        """Take one chunk of each session."""
        windows_BMT, following = self._front.advance(pcm_BS, states)
        return through(self._tower, windows_BMT), following

    def dump(self, state: MelState) -> bytes:
        """Serialise a state: 1.5 KB, and 20 KB for each chunk of context."""
        return dump_mel(self._front, state)

    def load(self, data: bytes) -> MelState:
        """Restore what `dump` wrote. ValueError."""
        return load_mel(self._front, data)


def front_of(tower: AudioTower) -> LogMel:
    """Return the log-mel that a tower listens through."""
    return LogMel(tower.config.mels, tower.config.context_chunks)


def through(tower: AudioTower, windows_BMT: Tensor) -> Tensor:
    """Run windows through a tower, wherever it is."""
    weight = tower.proj.weight
    frames_BPD: Tensor = tower(windows_BMT.to(weight.device, weight.dtype))
    return frames_BPD


# A log-mel's state as bytes: this header, the tail, the recent frames, all little-endian.
_HEADER = struct.Struct("<8sIIIf")  # what it is, mel bands, samples of tail, recent frames, peak
_MAGIC = b"logmel/1"


def dump_mel(front: LogMel, state: MelState) -> bytes:
    """Serialise the state of a log-mel."""
    lengths = (front.mels, state.tail.size, len(state.recent))
    header = _HEADER.pack(_MAGIC, *lengths, state.peak)
    return header + b"".join(part.astype("<f4").tobytes() for part in (state.tail, state.recent))


def load_mel(front: LogMel, data: bytes) -> MelState:
    """Restore what `dump_mel` wrote; ValueError when it was not of such a log-mel."""
    if len(data) < _HEADER.size or len(data) % 4 or not data.startswith(_MAGIC):
        raise ValueError(f"not a unified encoder's state: {len(data)} bytes, {data[:8]!r}")
    _, mels, tail, recent, peak = _HEADER.unpack_from(data)
    ours = (front.mels, front.context_frames)
    if (mels, recent) != ours or tail not in (0, TAIL_SAMPLES) or not np.isfinite(peak):
        raise ValueError(f"a state of {mels=}, {recent=}, {tail=}, {peak=}; ours has {ours}")
    numbers = numbers_of(data[_HEADER.size :])
    if numbers.size != tail + recent * mels:
        raise ValueError(f"a state of {tail=}, {recent=}, {mels=} has {numbers.size} numbers")
    return MelState(numbers[:tail], peak, numbers[tail:].reshape(recent, mels))


def numbers_of(data: bytes) -> Array:
    """Return the floats of a state; ValueError where one is no number."""
    numbers = np.frombuffer(data, "<f4").astype(np.float32)
    if not np.isfinite(numbers).all():
        raise ValueError("a state of samples and frames that are no numbers")
    return numbers
