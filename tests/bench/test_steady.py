"""Steady callers against a platform in one process: what they see, and when they say it was bad."""

import time

import pytest

from bench.pipeline import Round
from bench.platform import running_platform
from bench.steady import Seen, Window, hold


def test_callers_see_each_chunk_decided_once() -> None:
    with running_platform("--model", "null") as platform:
        opens_s = time.monotonic() + 3
        window = Window(opens_s, 0.01, opens_s + 1, opens_s + 3)
        url = platform.url.replace("http", "ws")
        seen = hold([url], sessions=4, window=window, processes=2)
    assert seen.clean, seen
    assert seen.chunks == pytest.approx(4 * 2 / 0.4, abs=4)  # each 400 ms, for two seconds
    assert len(seen.caller_ms) == seen.chunks
    assert len(seen.platform_ms) > 0
    assert seen.turns > 0
    assert 0 < seen.cpu_s < 2


def test_callers_say_that_nobody_answers() -> None:
    window = Window(0, 0, time.monotonic(), time.monotonic() + 0.1)
    seen = hold(["ws://127.0.0.1:1"], sessions=2, window=window, processes=1)
    assert len(seen.failed) == 2
    assert not seen.clean


@pytest.mark.parametrize(
    ("seen", "keeps_up"),
    [
        (Seen(caller_ms=[20.0] * 100), True),
        (Seen(caller_ms=[20.0] * 95 + [300.0] * 5), False),
        (Seen(caller_ms=[20.0] * 100, undecided=1), False),
        (Seen(caller_ms=[20.0] * 100, failed=["overloaded"]), False),
        (Seen(), False),
    ],
)
def test_a_round_keeps_up_when_all_is_decided_in_time(seen: Seen, keeps_up: bool) -> None:
    assert Round(10, 1.0, seen, {}, 0.0).keeps_up is keeps_up
