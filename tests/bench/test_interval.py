import pytest

from bench.interval import poisson_upper, wilson


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_wilson_matches_published_values(hits: int, trials: int, low: float, high: float) -> None:
    assert wilson(hits, trials) == pytest.approx((low, high), abs=1e-4)


def test_without_trials_nothing_is_known() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("count", "upper"), [(1, 5.572), (5, 11.668), (10, 18.390), (100, 121.627)]
)
def test_the_poisson_limit_is_near_the_exact_one(count: int, upper: float) -> None:
    assert poisson_upper(count) == pytest.approx(upper, rel=0.01)
