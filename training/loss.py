"""What training minimises: L = L_LM + λ·L_stream, two means, each over its own targets.

Both are means over the whole batch of a step, however it is cut: into pieces one after the other,
and over processes. So a piece's loss is its sums over the counts of all pieces, and what the pieces
give adds up to the loss, and to the gradient, of the batch in one.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from training.learning.batch import Batch, Targets

STREAM_WEIGHT = 1.0  # λ


@dataclass(frozen=True, slots=True)
class Losses:
    """A piece's share of both means."""

    text: Tensor
    stream: Tensor

    def total(self, stream_weight: float) -> Tensor:
        """Return what to minimise."""
        return self.text + stream_weight * self.stream


def losses(logits_NV: Tensor, batch: Batch, whole: Targets) -> Losses:
    """Return a piece's share. logits_NV: of its targets; whole: the targets of all pieces."""
    wanted_BT = batch.text_BT | batch.stream_BT
    tokens_N = batch.tokens_BT[wanted_BT]
    is_text_N = batch.text_BT[wanted_BT]
    each_N = functional.cross_entropy(logits_NV.float(), tokens_N, reduction="none")
    zero = torch.zeros_like(each_N)
    return Losses(
        torch.where(is_text_N, each_N, zero).sum() / max(whole.text, 1),
        torch.where(is_text_N, zero, each_N).sum() / max(whole.stream, 1),
    )
