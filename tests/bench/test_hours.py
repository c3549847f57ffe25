"""That the benchmark of long sessions does the work that it claims to measure."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from bench.chart import Chart, Line
from bench.hours import CHUNKS_PER_MINUTE, Minute, Pair, Report, measure, one_minute
from bench.published_way import CHUNK_POSITIONS, published_costs
from bench.scripted_model import CONTROL, ScriptedModel, letters, scripted_model
from soundflow.audio import CHUNK_SAMPLES
from soundflow.unified.audio_tower import AudioTower
from soundflow.unified.pages import Lane, PagedCache


@pytest.fixture(scope="module")
def models() -> tuple[AudioTower, ScriptedModel]:
    return scripted_model(turn_tokens=3)


def follow(model: ScriptedModel, lane: Lane, tokens: tuple[int, ...]) -> int:
    return int(model.extend([(lane, model.embed(tokens))])[0].argmax())


def test_the_model_answers_by_its_script(models: tuple[AudioTower, ScriptedModel]) -> None:
    _, model = models
    lane = PagedCache(model.config, 10).lane()
    model.respond = False
    assert follow(model, lane, CONTROL.block) == CONTROL.silence
    model.respond = True
    token, said = follow(model, lane, (CONTROL.silence, *CONTROL.block)), []
    assert token == CONTROL.text_begin
    while (token := follow(model, lane, (token,))) != CONTROL.text_end:
        said.append(token)
    assert len(said) == 3
    assert max(said) < 256
    assert model.positions == lane.length == 12 + 13 + 4
    assert len(letters().decode(said)) <= 3


def test_a_minute_is_whole_chunks_of_sound() -> None:
    minute = one_minute()
    assert minute.size == CHUNKS_PER_MINUTE * CHUNK_SAMPLES
    loudness = np.abs(minute.reshape(-1, CHUNK_SAMPLES)).max(1)
    assert 0 < loudness.min() < loudness.max() <= 1


def test_the_published_way_is_measured_until_it_cannot_be_borne(
    models: tuple[AudioTower, ScriptedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    tower, model = models
    given: list[int] = []
    extend = ScriptedModel.extend

    def noted(self: ScriptedModel, batch: list[tuple[Lane, torch.Tensor]]) -> torch.Tensor:
        given.append(batch[0][0].length)
        return extend(self, batch)

    monkeypatch.setattr(ScriptedModel, "extend", noted)
    monkeypatch.setattr("bench.published_way.AGES_S", (1, 3, 10))
    costs = list(published_costs(tower, model, one_minute(), most_ms=1e6))
    assert [age_s for age_s, _ in costs] == [1, 3, 10]
    # Each chunk is heard behind all before it: the second, the seventh, the twenty-fifth.
    assert {1 * CHUNK_POSITIONS, 6 * CHUNK_POSITIONS, 24 * CHUNK_POSITIONS} <= set(given)
    assert len(list(published_costs(tower, model, one_minute(), most_ms=0))) == 1


def test_what_a_report_comes_to() -> None:
    minutes = [Minute(1, 2.0, 30.0, 200.0, 100.0)]
    minutes += [Minute(number, 4.0, 60.0, 200.0, 100.0) for number in range(2, 100)]
    minutes += [Minute(number, 5.0, 60.0, 150.0, 101.0) for number in range(100, 161)]
    young = [Minute(1, 4.0, 30.0, 200.0, 100.0), Minute(1, 2.5, 30.0, 200.0, 100.0)]
    pairs = [Pair(minutes[59], young[0]), Pair(minutes[119], young[1])]
    assert Report(minutes, pairs, [], {}).figures() == {
        "last_hour_to_first_minute": 5 / 2.5,
        "last_hour_to_minutes_10_to_19": 5 / 4,
        "old_to_young_side_by_side": 1.5,  # 4 / 4 in the first hour, 5 / 2.5 in the second
        "last_hour_to_first_positions": 2.0,
        "last_hour_to_full_positions": 1.0,
        "grown_mib_since_minute_10": 1.0,
    }


async def test_a_run_writes_what_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.hours.RESULTS", tmp_path)
    monkeypatch.setattr("bench.encoder_rate.LEAST_S", 0.0)
    monkeypatch.setattr("bench.published_way.AGES_S", (1, 3))
    report = await measure(1, Console(quiet=True))
    [minute] = report.minutes
    # Blocks and control tokens are 13 a chunk, a turn of 12 every tenth adds 1.4 with its begin and
    # end, and a minute has at most three layouts, of the kept 20 chunks and what was answered.
    assert 14.4 <= minute.chunk_positions <= 14.4 + 3 * (20 * 13 + 150) / CHUNKS_PER_MINUTE
    saved = json.loads((tmp_path / "hours.json").read_text())
    assert saved["minutes"] == [asdict(minute)]
    assert [age_s for age_s, _ in saved["published"]] == [1, 3]
    assert set(saved["encoder_chunks_per_s"]) == {"1", "8", "64"}
    assert ElementTree.parse(tmp_path / "hours.svg").getroot().tag.endswith("svg")


def test_a_chart_places_points_by_their_logarithms(tmp_path: Path) -> None:
    ticks = [(1.0, "one"), (100.0, "<hundred>")]
    line = Line("a & b", [(1.0, 100.0), (10.0, 10.0), (100.0, 1.0)])
    Chart("title", "x", "y", ticks, ticks, [line]).write(tmp_path / "chart.svg")
    svg = ElementTree.parse(tmp_path / "chart.svg").getroot()
    texts = {text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")}
    assert {"title", "one", "<hundred>", "a & b"} <= texts
    [path] = [element.attrib["d"] for element in svg if element.attrib.get("d", "").count("L") == 2]
    points = [tuple(map(float, point.split())) for point in path[1:].split("L")]
    (left, top), middle, (right, bottom) = points
    assert left < right
    assert top < bottom
    assert middle == pytest.approx(((left + right) / 2, (top + bottom) / 2), abs=0.1)
