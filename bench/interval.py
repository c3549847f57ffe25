"""95 % intervals for shares and rates."""

from math import sqrt

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
