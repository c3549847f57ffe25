"""What counts as growth over many calls."""

import pytest

from bench.churn import MEBIBYTE, Sample, growth
from bench.usage import Usage


def sample(
    calls: int, name: str = "decision-0", *, mebibytes: int = 100, files: int = 40, keys: float = 0
) -> Sample:
    part = Usage(cpu_s=1.0, resident_bytes=mebibytes * MEBIBYTE, files=files, threads=5)
    return Sample(calls, {name: part}, {"keys in Redis": keys})


@pytest.mark.parametrize(
    ("later", "grows"),
    [
        (sample(10_000), set()),
        (sample(10_000, mebibytes=109), set()),  # a caches' worth for each of 8,000 calls
        (sample(10_000, mebibytes=150), {"decision-0 memory"}),
        (sample(10_000, files=100), {"decision-0 files"}),
        (sample(10_000, keys=1), {"keys in Redis"}),
        (sample(10_000, mebibytes=50, files=1), set()),
    ],
)
def test_what_stays_of_calls_is_growth(later: Sample, grows: set[str]) -> None:
    assert {one.name for one in growth(sample(2_000), later) if not one.fine} == grows


def test_what_grows_by_itself_is_not_judged() -> None:
    before, after = sample(2_000, "kafka"), sample(10_000, "kafka", mebibytes=500, files=900)
    assert all(one.fine for one in growth(before, after))
