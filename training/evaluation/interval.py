"""95 % intervals for shares, rates, and whatever else is worked out from several recordings."""

from collections.abc import Callable, Sequence
from math import nan, sqrt
from typing import TypeVar

import numpy as np

ItemT = TypeVar("ItemT")

Z_95 = 1.959964


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Return Wilson's interval of a share; (0, 1) without trials."""
    if not trials:
        return 0.0, 1.0
    share, square = hits / trials, Z_95**2
    centre = (share + square / (2 * trials)) / (1 + square / trials)
    half = (
        Z_95 * sqrt(share * (1 - share) / trials + square / (4 * trials**2)) / (1 + square / trials)
    )
    return max(0.0, centre - half), min(1.0, centre + half)


def poisson_upper(count: int) -> float:
    """Return the upper limit of the two-sided interval of a count (Byar's approximation)."""
    more = count + 1
    return float(more * (1 - 1 / (9 * more) + Z_95 / (3 * sqrt(more))) ** 3)


def poisson(count: int) -> tuple[float, float]:
    """Return both limits of the interval of a count (Byar's approximation)."""
    if not count:
        return 0.0, poisson_upper(0)
    low = count * (1 - 1 / (9 * count) - Z_95 / (3 * sqrt(count))) ** 3
    return max(0.0, float(low)), poisson_upper(count)


def resampled(
    items: Sequence[ItemT], figure: Callable[[Sequence[ItemT]], float], draws: int = 1000
) -> tuple[float, float]:
    """Return the bootstrap interval of a figure over items; (nan, nan) where it cannot be told.

    Deterministic. The items are what varies: recordings, not the words or positions within them.
    Of items that are all alike, a bootstrap knows nothing: it would claim to be certain.
    """
    if not items:
        return nan, nan
    rng = np.random.default_rng(0)
    places = rng.integers(len(items), size=(draws, len(items)))
    figures = [figure([items[place] for place in row]) for row in places]
    low, high = np.nanquantile(figures, (0.025, 0.975))
    return (float(low), float(high)) if low < high else (nan, nan)


def mean_of_shares(shares: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Return the interval of the mean of independent shares, each `(hits, trials)`.

    Newcombe's square-and-add of Wilson's intervals: honest, too, where all or none was hit.
    """
    if not shares or not all(trials for _, trials in shares):
        return nan, nan
    mean = sum(hits / trials for hits, trials in shares) / len(shares)
    each = [(hits / trials, *wilson(hits, trials)) for hits, trials in shares]
    down = sqrt(sum((value - low) ** 2 for value, low, _ in each)) / len(shares)
    up = sqrt(sum((high - value) ** 2 for value, _, high in each)) / len(shares)
    return max(0.0, mean - down), min(1.0, mean + up)
