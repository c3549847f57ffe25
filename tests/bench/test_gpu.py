"""The benches of the unified model run, and count as they say."""

import asyncio
from collections.abc import Iterator

import pytest
import torch
from rich.console import Console

from bench.engine_batch import Compared, Took, compare_engine, compare_model, make_model
from bench.gpu import PUBLISHED, SMALL, Bench, chunk_flop, keeps, lines
from bench.paced import Seen
from bench.scripted_sessions import ScriptedSessions
from soundflow.unified.audio_tower import AudioTower
from soundflow.unified.weightless import without_weights
from tests.soundflow.unified import tiny


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with tiny.threads(1):
        yield


def test_a_chunk_of_the_published_model_takes_what_its_arithmetic_says() -> None:
    with without_weights():
        tower = AudioTower(PUBLISHED.encoder)
        model = ScriptedSessions(PUBLISHED.decoder, turn_tokens=1)
    # 0.64 B parameters x 20 positions and 3.1 B x 13, two operations each: 106 GFLOP.
    assert chunk_flop(tower, model) == pytest.approx(106e9, rel=0.02)


def test_a_session_of_the_published_model_reserves_what_its_arithmetic_says() -> None:
    bench = Bench(SMALL, torch.device("cpu"), cap=2)
    # 2 layers x keys and values x 2 heads x 32 numbers x 4 bytes x 2048 positions.
    assert bench.session_bytes == 2 * 2 * 2 * 32 * 4 * 2048


def test_streams_keep_the_promise_only_where_no_tick_is_missed() -> None:
    assert keeps(Seen([50.0] * 100))
    assert not keeps(Seen([50.0] * 90 + [300.0] * 10))
    assert not keeps(Seen([50.0] * 99 + [401.0]))
    assert not keeps(Seen([50.0] * 100, undecided=1))


def test_live_sessions_are_searched_for_and_one_in_five_speaks() -> None:
    bench = Bench(SMALL, torch.device("cpu"), cap=6)
    report = asyncio.run(bench.run(1.5, Console(quiet=True)))
    assert 1 <= report.streams <= 6
    assert report.idle_p50_ms <= report.idle_p95_ms
    assert report.tokens_per_s > 0
    assert 0 < report.of_roofline < 1
    assert f"{report.streams} streams" in "\n".join(lines(report))


def test_together_and_one_by_one_do_the_same_work() -> None:
    model = make_model(512)
    compared = compare_model(model, sessions=3, rounds=2)
    assert (len(compared.together), len(compared.one_by_one)) == (2, 2)
    model.forget()
    before = model.positions
    asyncio.run(compare_engine(model, sessions=3, rounds=2))
    # At least a block and an answer for each of 17 chunks, and some said something.
    assert model.positions - before > 3 * 17 * 13
    assert model.said > 0


def test_the_ratio_is_the_median_of_neighbours() -> None:
    together = [Took(1.0, 1.0), Took(2.0, 1.0), Took(1.0, 2.0)]
    one_by_one = [Took(3.0, 6.0), Took(10.0, 5.0), Took(4.0, 4.0)]
    compared = Compared("", 1, 1, together, one_by_one)
    assert (compared.ratio, compared.processor_ratio) == (4.0, 5.0)
