"""The small tower, live: each chunk's windows, and what the adapter carries from chunk to chunk.

Shape suffixes: B sessions, S samples, M mel bands, T mel frames, P positions, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from soundflow.frontend import YAMNET_CARRY_SAMPLES, YAMNET_MELS, Array, Carry, yamnet_log_mel
from soundflow.unified.audio_tower import CHUNK_POSITIONS
from soundflow.unified.ears import dump_mel, load_mel, numbers_of
from soundflow.unified.logmel import CHUNK_FRAMES, LogMel, MelState
from soundflow.unified.small_hearing import PATCH_CARRY_FRAMES, PATCH_SILENCE, YAMNET_MEL
from soundflow.unified.small_tower import SmallTower

_MAGIC = b"smallear"
_PATCH = (PATCH_CARRY_FRAMES, YAMNET_MELS)


@dataclass(frozen=True, slots=True)
class SmallState:
    """What a session carries over a chunk border; 100 KB.

    patch: `(56, 64)` newest YAMNet frames. positions: `(32, width)`, the adapter's newest inputs.
    """

    mel: MelState
    patch: Array
    positions: Array


class SmallEars:
    """Implement `soundflow.unified.ears.Ears[SmallState]`."""

    def __init__(self, tower: SmallTower) -> None:
        self._tower = tower
        # In this order of the same numbers, convolutions over one patch take half the time.
        tower.yamnet.to(memory_format=torch.channels_last)
        self._front = LogMel(tower.config.mels, tower.config.context_chunks)
        self._before = (tower.adapter.before, tower.config.width)

    def initial(self) -> SmallState:
        """Return the state of a session that has heard nothing."""
        patch_TM = np.full(_PATCH, PATCH_SILENCE, np.float32)
        return SmallState(self._front.initial(), patch_TM, np.zeros(self._before, np.float32))

    def hear(self, pcm_BS: Array, states: Sequence[SmallState]) -> tuple[Tensor, list[SmallState]]:
        """Take one chunk of each session."""
        weight = self._tower.adapter.enter.weight
        windows_BMT, mels = self._front.advance(pcm_BS, [state.mel for state in states])
        patches_BTM = _patches(pcm_BS, states)
        new_BPD = self._tower.listen(windows_BMT.to(weight))
        old_BPD = torch.from_numpy(np.stack([state.positions for state in states])).to(weight)
        positions_BPD = torch.cat([old_BPD, new_BPD], dim=1)
        groups_BG = self._tower.tag(torch.from_numpy(patches_BTM).to(weight))
        heard_BNPD = self._tower.hear(positions_BPD, groups_BG[:, None])
        kept_BPD = positions_BPD[:, CHUNK_POSITIONS:].float().numpy(force=True)
        # Copies, as a view would keep the whole batch in memory.
        following = [
            SmallState(mel, patch_TM[CHUNK_FRAMES:].copy(), kept_PD.copy())
            for mel, patch_TM, kept_PD in zip(mels, patches_BTM, kept_BPD, strict=True)
        ]
        return self._tower.project(heard_BNPD[:, 0]), following

    def dump(self, state: SmallState) -> bytes:
        """Serialise a state."""
        parts = (state.patch, state.positions)
        numbers = b"".join(part.astype("<f4").tobytes() for part in parts)
        return _MAGIC + numbers + dump_mel(self._front, state.mel)

    def load(self, data: bytes) -> SmallState:
        """Restore what `dump` wrote. ValueError."""
        patch, positions = (4 * rows * columns for rows, columns in (_PATCH, self._before))
        begin, middle = len(_MAGIC), len(_MAGIC) + patch
        end = middle + positions
        if not data.startswith(_MAGIC) or len(data) < end:
            raise ValueError(f"not a small tower's state: {len(data)} bytes, {data[:8]!r}")
        return SmallState(
            load_mel(self._front, data[end:]),
            numbers_of(data[begin:middle]).reshape(_PATCH),
            numbers_of(data[middle:end]).reshape(self._before),
        )


def _patches(pcm_BS: Array, states: Sequence[SmallState]) -> Array:
    """Return the YAMNet patch `(B, 96, 64)` that ends with each session's chunk."""
    patches = []
    for pcm_S, state in zip(pcm_BS, states, strict=True):
        # The log-mel's tail holds what YAMNet's windows reach back over.
        tail_S = Carry(state.mel.tail[-YAMNET_CARRY_SAMPLES:])
        frames_TM, _ = yamnet_log_mel(pcm_S, tail_S, YAMNET_MEL)
        patches.append(np.concatenate([state.patch, frames_TM]))
    return np.stack(patches)
