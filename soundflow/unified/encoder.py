"""The unified model's ears: chunks of many sessions through one tower, at a cost that never grows.

Shape suffixes: B sessions, N chunks, S samples, P frames, D width.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from soundflow.audio import Chunk
from soundflow.features import Features, TensorSpec
from soundflow.frontend import Array
from soundflow.unified.audio_tower import CHUNK_OUTPUTS, AudioTower
from soundflow.unified.ears import Ears, PublishedEars, front_of, through
from soundflow.unified.small_ears import SmallEars
from soundflow.unified.small_hearing import hear
from soundflow.unified.small_tower import SmallTower
from soundflow.unified.towers import Tower, TowerConfig

# What a session carries: as its tower's ears have it.
State = Any


class UnifiedEncoder:
    """Implement `soundflow.encoder.Encoder` with a tower of either kind.

    Each chunk makes `frames` (10, output_width) float32, those of re-encoding all that the session
    has said so far; in company they differ by rounding only. Samples that are no numbers count as
    0, and those beyond full scale as full scale: the tower's loudness reference never forgets.
    """

    def __init__(self, tower: Tower) -> None:
        """Take over a tower with its weights, where and as precise as it is to run."""
        self.tensors = tensors_of(tower.config)
        tower = tower.eval().requires_grad_(False)
        self._ears: Ears[State] = (
            SmallEars(tower) if isinstance(tower, SmallTower) else PublishedEars(tower)
        )

    def initial(self) -> State:
        """Return the state of a session that has heard nothing."""
        return self._ears.initial()

    def encode(self, batch: Sequence[tuple[Chunk, State]]) -> list[tuple[Features, State]]:
        """Encode one chunk of each of several sessions in one pass."""
        if not batch:
            return []
        pcm_BS = np.stack([chunk.pcm for chunk, _ in batch])
        heard_BS = np.clip(np.nan_to_num(pcm_BS, posinf=1.0, neginf=-1.0), -1.0, 1.0)
        with torch.inference_mode():
            frames_BPD, states = self._ears.hear(heard_BS, [state for _, state in batch])
            frames = frames_BPD.float().numpy(force=True)
        # Copies, as a view would keep the whole batch in memory.
        made = [{"frames": frames_PD.copy()} for frames_PD in frames]
        return [
            (Features(chunk.session_id, chunk.index, tensors, chunk.last), state)
            for (chunk, _), tensors, state in zip(batch, made, states, strict=True)
        ]

    def dump(self, state: State) -> bytes:
        """Serialise a state; its tower's ears say how large it is."""
        return self._ears.dump(state)

    def load(self, data: bytes) -> State:
        """Restore what `dump` wrote; ValueError when it was not written by this encoder."""
        return self._ears.load(data)


def tensors_of(config: TowerConfig) -> tuple[TensorSpec, ...]:
    """Return what the encoder of such a tower makes of each chunk."""
    return (TensorSpec("frames", "float32", (CHUNK_OUTPUTS, config.output_width)),)


def features_whole(tower: AudioTower, pcm_S: Array) -> Tensor:
    """Return the frames `(N, 10, D)` of a clip of whole chunks that is known to its end."""
    return through(tower, front_of(tower).whole(pcm_S))


def features_live(tower: Tower, pcm_S: Array) -> Tensor:
    """Return the frames `(N, 10, D)` of a clip of whole chunks as a live session gets them."""
    if isinstance(tower, SmallTower):
        return tower.project(hear(tower, pcm_S).to(tower.adapter.enter.weight))
    return through(tower, front_of(tower).live(pcm_S))
