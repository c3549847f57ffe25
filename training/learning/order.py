"""Which example comes when: a pure function of seed and position, so a run can go on anywhere.

Nothing is carried from one position to the next; a resumed run, or one on another number of
processes, sees the same examples in the same steps.
"""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from training.learning.example import Example, Source
from training.stages import BASE


class Order:
    """The examples of a stage, shuffled, with what is mixed in.

    shares: for each example of `base`, how many of another source on average; a source that is
    not there is left out. A source of n is shuffled anew every n positions, and read at most once.
    """

    def __init__(
        self, sources: Mapping[str, Source], shares: Mapping[str, float], seed: int
    ) -> None:
        if not len(sources[BASE]):
            raise ValueError("there are no examples")
        weights = {BASE: 1.0, **shares}
        self._sources = {
            name: sources[name] for name in weights if name in sources and len(sources[name])
        }
        kept = np.array([weights[name] for name in self._sources])
        self._bounds = np.cumsum(kept / kept.sum())
        self._seed = seed

    def at(self, position: int) -> Example:
        """Return the example at a position, of any number of positions."""
        drawn = np.random.default_rng((self._seed, position)).random()
        kind = int(np.searchsorted(self._bounds[:-1], drawn, side="right"))
        source = list(self._sources.values())[kind]
        epoch, place = divmod(position, len(source))
        return source[int(_shuffled(len(source), self._seed, epoch)[place])]


@lru_cache(maxsize=8)
def _shuffled(length: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, epoch, length)).permutation(length)
