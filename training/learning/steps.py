"""What each step of a run learns from: its examples, cut into pieces that fit in memory.

Of a step's examples each process takes an equal share, and puts those of like length in one piece:
what is padded costs as much as what is not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, Dataset

from training.learning.batch import Batch, Collate
from training.learning.order import Order
from training.learning.processes import Processes


@dataclass(frozen=True, slots=True)
class Sizes:
    """How a step's examples are cut. batch: of all processes; piece: of one forward."""

    batch: int
    piece: int

    def check(self, processes: int) -> None:
        """ValueError where the cut leaves a rest."""
        if self.batch % processes or (self.batch // processes) % self.piece:
            raise ValueError(
                f"{self.batch} examples a step are not {processes} processes' pieces of "
                f"{self.piece}"
            )


class Steps(Dataset[list[Batch]]):
    """A process's pieces of each step, by the step's number."""

    def __init__(self, order: Order, collate: Collate, sizes: Sizes, processes: Processes) -> None:
        sizes.check(processes.size)
        self._order = order
        self._collate = collate
        self._piece = sizes.piece
        self._batch = sizes.batch
        self._share = sizes.batch // processes.size
        self._first = self._share * processes.rank

    def __getitem__(self, step: int) -> list[Batch]:
        """Return the pieces."""
        begin = step * self._batch + self._first
        examples = [self._order.at(position) for position in range(begin, begin + self._share)]
        examples.sort(key=lambda example: len(example.tokens_T))
        cuts = range(0, self._share, self._piece)
        return [self._collate(examples[cut : cut + self._piece]) for cut in cuts]

    def read(self, steps: Sequence[int], workers: int) -> Iterable[list[Batch]]:
        """Yield the pieces of some steps. workers: processes that read ahead."""
        # A generator of its own, as the loader draws from the common one when it begins.
        return DataLoader(
            self,
            batch_size=None,
            sampler=steps,
            num_workers=workers,
            collate_fn=_as_it_is,
            generator=torch.Generator(),
        )


def _as_it_is(pieces: list[Batch]) -> list[Batch]:
    return pieces
