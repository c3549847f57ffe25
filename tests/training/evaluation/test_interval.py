import numpy as np
import pytest

from training.evaluation.interval import mean_of_shares, poisson, poisson_upper, resampled, wilson


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


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.025, 5.572), (5, 1.623, 11.668)]
)
def test_both_poisson_limits_are_near_the_exact_ones(count: int, low: float, high: float) -> None:
    found = poisson(count)
    assert found[0] == pytest.approx(low, abs=0.05)
    assert found[1] == pytest.approx(high, abs=0.3)


def test_a_resampled_mean_has_the_interval_of_the_normal_law() -> None:
    values = list(np.random.default_rng(5).normal(10, 2, 400))
    low, high = resampled(values, lambda some: float(np.mean(some)))
    assert low == pytest.approx(np.mean(values) - 1.96 * 2 / 20, abs=0.06)
    assert high == pytest.approx(np.mean(values) + 1.96 * 2 / 20, abs=0.06)


def test_of_nothing_there_is_no_interval() -> None:
    assert np.isnan(resampled([], lambda some: 0.0)).all()


def test_of_what_is_all_alike_a_bootstrap_tells_nothing() -> None:
    assert np.isnan(resampled([1.0, 1.0, 1.0], lambda some: float(np.mean(some)))).all()


def test_the_mean_of_one_share_has_its_interval() -> None:
    assert mean_of_shares([(3, 10)]) == pytest.approx(wilson(3, 10))


def test_the_mean_of_two_shares_covers_what_is_true() -> None:
    rng, true = np.random.default_rng(0), (0.9, 0.6)
    covered = 0
    for _ in range(2000):
        low, high = mean_of_shares([(int(rng.binomial(40, share)), 40) for share in true])
        covered += low <= sum(true) / 2 <= high
    assert 0.93 <= covered / 2000 <= 0.97


def test_two_perfect_shares_of_few_are_not_certain() -> None:
    low, high = mean_of_shares([(6, 6), (6, 6)])
    assert high == 1.0
    assert low < 0.75
