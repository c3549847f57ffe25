"""Examples side by side: padded at the end, which causal attention never looks back from.

Shape suffixes: B examples, T positions, N blocks of all examples in a row, M mel bands, F mel
frames, P frames of a chunk, W width of what a tower hears, C chunks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from soundflow.unified.logmel import CHUNK_FRAMES, LogMel
from soundflow.unified.tokens import BLOCK_FRAMES, ControlTokens
from training.learning.example import Example


@dataclass(frozen=True, slots=True)
class Targets:
    """How many tokens are to be predicted, as text and as decisions."""

    text: int
    stream: int

    def __add__(self, other: Self) -> "Targets":
        """Count both."""
        return Targets(self.text + other.text, self.stream + other.stream)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one forward takes.

    text_BT, stream_BT: which tokens are targets; see Example.
    windows_NMF: what the tower listens to, of each block; or heard_NPW: what a frozen one heard.
    """

    tokens_BT: Tensor
    text_BT: Tensor
    stream_BT: Tensor
    windows_NMF: Tensor | None
    heard_NPW: Tensor | None

    @property
    def targets(self) -> Targets:
        """Count what is to be predicted."""
        return Targets(int(self.text_BT.sum()), int(self.stream_BT.sum()))

    def to(self, device: torch.device) -> "Batch":
        """Return it on a device."""
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{k: v.to(device) for k, v in tensors.items() if v is not None})


@dataclass(frozen=True, slots=True)
class Collate:
    """Puts examples side by side. longest: in positions.

    front: what the tower listens through; None = it has heard all examples already.
    """

    front: LogMel | None
    control: ControlTokens
    longest: int

    def __call__(self, examples: Sequence[Example]) -> Batch:
        """Return their batch. ValueError, which names an example, or says what does not mix."""
        for example in examples:
            self._check(example)
        windows, frames = self._heard(examples)
        return Batch(
            _padded([example.tokens_T for example in examples], self.control.text_end),
            _padded([example.text_T for example in examples], 0),
            _padded([example.stream_T for example in examples], 0),
            windows,
            frames,
        )

    def _check(self, example: Example) -> None:
        heard_as = (self.control.pad, self.control.audio_pad)
        pads = int(np.isin(example.tokens_T, heard_as).sum())
        if pads != len(example.blocks_N) * BLOCK_FRAMES:
            raise ValueError(f"{example.name}: {len(example.blocks_N)} blocks, but {pads} PADs")
        if len(example.tokens_T) > self.longest:
            raise ValueError(f"{example.name}: {len(example.tokens_T)} tokens, {self.longest=}")

    def _heard(self, examples: Sequence[Example]) -> tuple[Tensor | None, Tensor | None]:
        heard = [e.heard_NPW[e.blocks_N] for e in examples if e.heard_NPW is not None]
        sampled = [e for e in examples if e.pcm_S is not None]
        if heard and sampled:
            raise ValueError("a batch has samples, or what was heard, not both")
        if heard:
            return None, torch.from_numpy(np.concatenate(heard).astype(np.float32))
        if self.front is None:
            raise ValueError("the tower is frozen: examples come with what it heard")
        if sampled:
            return torch.cat([_windows(self.front, e) for e in sampled]), None
        # Text alone: one silent window, so that every process goes through the tower in step.
        frames = self.front.context_frames + CHUNK_FRAMES
        return torch.zeros(1, self.front.mels, frames), None


def _windows(front: LogMel, example: Example) -> Tensor:
    """Return what a live session's tower hears; the edge of each chunk is a mirrored one."""
    assert example.pcm_S is not None
    windows_CMF = front.live(example.pcm_S)
    return windows_CMF[torch.from_numpy(example.blocks_N)]


def _padded(rows: Sequence[np.ndarray], fill: int) -> Tensor:
    longest = max(len(row) for row in rows)
    ends = [np.pad(row, (0, longest - len(row)), constant_values=fill) for row in rows]
    return torch.from_numpy(np.stack(ends))
