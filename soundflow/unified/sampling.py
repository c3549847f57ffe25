"""Which token follows: the most likely one, or one drawn as a session's settings say.

Shape suffixes: B sessions, K candidates, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Sampling:
    """How text is drawn. temperature 0 = always the most likely; top_k 0 = from all tokens.

    seed: 64 bits.
    """

    temperature: float = 0.0
    top_k: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        sensible = 0 <= self.temperature < float("inf") and self.top_k >= 0
        if not sensible or not 0 <= self.seed < 1 << 64:
            raise ValueError(f"no negative or endless settings, got {self}")

    @property
    def greedy(self) -> bool:
        """Whether nothing is left to chance."""
        return self.temperature == 0 or self.top_k == 1


GREEDY = Sampling()


class Sampler:
    """One session's chance. It depends on the settings and how often it was asked, nothing else.

    drawn: how often it was asked; a sampler made anew with it goes on where the other was.
    """

    def __init__(self, sampling: Sampling = GREEDY, drawn: int = 0) -> None:
        self.sampling = sampling
        self.drawn = drawn

    def draw(self) -> float:
        """Return the next number in [0, 1)."""
        numbers = np.random.Philox(key=self.sampling.seed, counter=self.drawn)
        self.drawn += 1
        return float(np.random.Generator(numbers).random())


def choose(logits_BV: Tensor, samplers: Sequence[Sampler | None]) -> list[int]:
    """Return each session's next token; None where it is the control token: then the most likely.

    What a session gets does not depend on who shares the batch.
    """
    tokens: list[int] = logits_BV.argmax(dim=-1).tolist()
    drawing = [
        (row, sampler)
        for row, sampler in enumerate(samplers)
        if sampler is not None and not sampler.sampling.greedy
    ]
    if drawing:
        rows = [row for row, _ in drawing]
        drawn = _draw(logits_BV[rows].float(), [sampler for _, sampler in drawing])
        for row, token in zip(rows, drawn, strict=True):
            tokens[row] = token
    return tokens


def _draw(logits_BV: Tensor, samplers: Sequence[Sampler]) -> list[int]:
    vocabulary = logits_BV.shape[1]
    counts = [min(sampler.sampling.top_k or vocabulary, vocabulary) for sampler in samplers]
    device = logits_BV.device
    temperature_B1 = torch.tensor([[s.sampling.temperature] for s in samplers], device=device)
    count_B1 = torch.tensor([[count] for count in counts], device=device)
    chance_B1 = torch.tensor(
        [[sampler.draw()] for sampler in samplers], dtype=torch.float64, device=device
    )
    best_BK, ids_BK = logits_BV.topk(max(counts), dim=-1)
    # The best one as zero first: a division by a small temperature then overflows downwards only.
    scaled_BK = (best_BK - best_BK[:, :1]).double() / temperature_B1
    beyond_BK = torch.arange(best_BK.shape[1], device=device) >= count_B1
    reached_BK = scaled_BK.masked_fill(beyond_BK, float("-inf")).softmax(-1).cumsum(-1)
    # Rounding may leave the last sum below 1; what lies beyond it is then the last candidate.
    chosen_B1 = (reached_BK <= chance_B1).sum(-1, keepdim=True).minimum(count_B1 - 1)
    drawn: list[int] = ids_BK.gather(1, chosen_B1)[:, 0].tolist()
    return drawn
