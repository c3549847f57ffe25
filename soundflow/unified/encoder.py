"""The unified model's ears: chunks of many sessions through one tower, at a cost that never grows.

Shape suffixes: B sessions, N chunks, S samples, M mel bands, T mel frames, P frames, D width.
"""

import struct
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from soundflow.audio import Chunk
from soundflow.features import Features, TensorSpec
from soundflow.frontend import Array
from soundflow.unified.audio_tower import CHUNK_OUTPUTS, AudioTower
from soundflow.unified.logmel import TAIL_SAMPLES, LogMel, MelState
from soundflow.unified.small_hearing import hear
from soundflow.unified.small_tower import SmallTower
from soundflow.unified.towers import Tower, TowerConfig

# A state as bytes: this header, then the tail, then the recent frames, all little-endian.
_HEADER = struct.Struct("<8sIIIf")  # what it is, mel bands, samples of tail, recent frames, peak
_MAGIC = b"logmel/1"


class UnifiedEncoder:
    """Implement `soundflow.encoder.Encoder[MelState]`.

    Each chunk makes `frames` (10, output_width) float32, those of re-encoding all that the session
    has said so far; in company they differ by rounding only. Samples that are no numbers count as
    0, and those beyond full scale as full scale: the tower's loudness reference never forgets.
    """

    def __init__(self, tower: AudioTower) -> None:
        """Take over a tower with its weights, where and as precise as it is to run."""
        self.tensors = tensors_of(tower.config)
        self._tower = tower.eval().requires_grad_(False)
        self._front = front_of(tower)

    def initial(self) -> MelState:
        """Return the state of a session that has heard nothing."""
        return self._front.initial()

    def encode(self, batch: Sequence[tuple[Chunk, MelState]]) -> list[tuple[Features, MelState]]:
        """Encode one chunk of each of several sessions in one pass."""
        if not batch:
            return []
        pcm_BS = np.stack([chunk.pcm for chunk, _ in batch])
        heard_BS = np.clip(np.nan_to_num(pcm_BS, posinf=1.0, neginf=-1.0), -1.0, 1.0)
        with torch.inference_mode():
            windows_BMT, states = self._front.advance(heard_BS, [state for _, state in batch])
            frames_BPD = through(self._tower, windows_BMT).float().numpy(force=True)
        # Copies, as a view would keep the whole batch in memory.
        made = [{"frames": frames_PD.copy()} for frames_PD in frames_BPD]
        return [
            (Features(chunk.session_id, chunk.index, tensors, chunk.last), state)
            for (chunk, _), tensors, state in zip(batch, made, states, strict=True)
        ]

    def dump(self, state: MelState) -> bytes:
        """Serialise a state: 1.5 KB, and 20 KB for each chunk of context."""
        lengths = (self._front.mels, state.tail.size, len(state.recent))
        header = _HEADER.pack(_MAGIC, *lengths, state.peak)
        return header + b"".join(
            part.astype("<f4").tobytes() for part in (state.tail, state.recent)
        )

    def load(self, data: bytes) -> MelState:
        """Restore what `dump` wrote; ValueError when it was not written by this encoder."""
        if len(data) < _HEADER.size or len(data) % 4 or not data.startswith(_MAGIC):
            raise ValueError(f"not a unified encoder's state: {len(data)} bytes, {data[:8]!r}")
        _, mels, tail, recent, peak = _HEADER.unpack_from(data)
        ours = (self._front.mels, self._front.context_frames)
        if (mels, recent) != ours or tail not in (0, TAIL_SAMPLES) or not np.isfinite(peak):
            raise ValueError(f"a state of {mels=}, {recent=}, {tail=}, {peak=}; ours has {ours}")
        numbers = np.frombuffer(data, "<f4", offset=_HEADER.size).astype(np.float32)
        if numbers.size != tail + recent * mels:
            raise ValueError(f"a state of {tail=}, {recent=}, {mels=} has {numbers.size} numbers")
        if not np.isfinite(numbers).all():
            raise ValueError("a state of samples and frames that are no numbers")
        return MelState(numbers[:tail], peak, numbers[tail:].reshape(recent, mels))


def tensors_of(config: TowerConfig) -> tuple[TensorSpec, ...]:
    """Return what the encoder of such a tower makes of each chunk."""
    return (TensorSpec("frames", "float32", (CHUNK_OUTPUTS, config.output_width)),)


def features_whole(tower: AudioTower, pcm_S: Array) -> Tensor:
    """Return the frames `(N, 10, D)` of a clip of whole chunks that is known to its end."""
    return through(tower, front_of(tower).whole(pcm_S))


def features_live(tower: Tower, pcm_S: Array) -> Tensor:
    """Return the frames `(N, 10, D)` of a clip of whole chunks as a live session gets them."""
    if isinstance(tower, SmallTower):
        return tower.project(hear(tower, pcm_S))
    return through(tower, front_of(tower).live(pcm_S))


def front_of(tower: AudioTower) -> LogMel:
    """Return the log-mel that a tower listens through."""
    return LogMel(tower.config.mels, tower.config.context_chunks)


def through(tower: AudioTower, windows_BMT: Tensor) -> Tensor:
    """Run windows through a tower, wherever it is."""
    weight = tower.proj.weight
    frames_BPD: Tensor = tower(windows_BMT.to(weight.device, weight.dtype))
    return frames_BPD
