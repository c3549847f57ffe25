import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.training.studio import write_material
from training.composition.rows import Row, read_rows
from training.corpora.build import RecipeChanged, build, recipe
from training.corpora.checking import problems
from training.corpora.shards import Recipe, read_figures
from training.corpora.workers import Beside, Here, ItemT, ResultT
from training.corpus import main
from training.curation.recordings import Entry, Kind, Recording, Split, split_of, write_table

SOUNDS = ("narrate", "count", "conditional", "distress", "look-alikes")
STREAMS, PER_SHARD = 24, 4


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_material(tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="module")
def whole(material: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus that was built in one go."""
    folder = tmp_path_factory.mktemp("whole")
    build(folder, made(material), Here())
    return folder


def made(material: Path, seed: int = 3) -> Recipe:
    return recipe([material], Split.TRAIN, STREAMS, PER_SHARD, seed, SOUNDS)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows_of(folder: Path) -> list[Row]:
    read = (row for path in sorted(folder.glob("*.jsonl")) for row in read_rows(path))
    return [row for row in read if isinstance(row, Row)]


def test_a_corpus_has_its_streams_in_the_files_of_their_kinds(whole: Path) -> None:
    rows = rows_of(whole)
    assert len({row.id for row in rows}) == STREAMS
    assert {path.name for path in whole.glob("*.jsonl")} == {
        *("base.jsonl", "proactive.jsonl", "silent.jsonl"),
    }
    figures = json.loads((whole / "figures.json").read_text())
    assert sum(figures["streams"].values()) == STREAMS
    answered = sum(not turn.is_silent for row in rows for turn in row.turns)
    assert sum(figures["responses"].values()) == answered
    assert not list(problems(whole))


def command(material: Path, folder: Path, *options: str) -> list[str]:
    """Return what builds the corpus that `whole` is."""
    given = [sys.executable, "-m", "training.corpus", "build", str(folder)]
    given += ["--material", str(material), "--streams", str(STREAMS), "--seed", "3"]
    given += ["--per-shard", str(PER_SHARD), "--processes", "2", *options]
    return given + [word for task in SOUNDS for word in ("--task", task)]


def killed_in_the_middle(given: list[str], folder: Path) -> None:
    """Build, and kill it when there are two shards. Skips where Ray's own start takes too long."""
    log = folder.with_suffix(".log")
    with log.open("wb") as errors:
        killed = subprocess.Popen(given, stderr=errors, start_new_session=True)
    done, deadline = folder / "shards" / "00001", time.monotonic() + 120
    while not done.is_dir() and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    if "Ray could not be had" in log.read_text():
        pytest.skip("this machine is too busy for Ray, whose raylet waits 20 s for its agent")
    assert done.is_dir() and not (folder / "figures.json").exists()


def test_a_build_that_was_killed_gives_the_same_bytes(
    material: Path, whole: Path, tmp_path: Path
) -> None:
    given = command(material, tmp_path, "--workers", "here")
    killed_in_the_middle(given, tmp_path)
    main(given[3:])
    assert contents(tmp_path) == contents(whole)


def test_a_build_that_is_gone_on_with_counts_only_what_it_made(
    material: Path, tmp_path: Path
) -> None:
    first = build(tmp_path, made(material), Here())
    assert first.cpu_hours == first.hours
    written = (tmp_path / "corpus.json").stat().st_mtime_ns
    shard = read_figures(tmp_path / "shards" / "00002" / "figures.json")
    shutil.rmtree(tmp_path / "shards" / "00002")
    again = build(tmp_path, made(material), Here())
    assert (again.hours, again.cpu_hours) == (first.hours, shard.hours)
    # Whoever is killed while it is written again could not go on at all.
    assert (tmp_path / "corpus.json").stat().st_mtime_ns == written


class Elsewhere(Here):
    """Works as the machines of a cluster do: not in the folder in which it is asked to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def each(self, work: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Iterator[ResultT]:
        with chdir(self._folder):
            done = list(super().each(work, items))
        yield from done


def test_paths_are_those_of_where_the_corpus_was_asked_for(
    material: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    table = Path(os.path.relpath(material))
    build(Path("corpus"), made(table), Elsewhere(tmp_path / "other"))
    assert contents(tmp_path / "corpus") == contents(whole)


def test_a_silent_recording_of_speech_costs_its_streams_and_not_the_build(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent, table = tmp_path / "silent.wav", tmp_path / "table.csv"
    soundfile.write(silent, np.zeros(16_000, np.float32), 16_000)
    source = next(name for name in map(str, range(99)) if split_of(name) is Split.TRAIN)
    recording = Recording(silent, "You have no new messages.", source, "CC0")
    write_table(table, [Entry(recording, Kind.SPEECH, language="en")])
    given = ["build", str(tmp_path / "corpus"), "--material", str(table), "--task", "asr-clean"]
    assert main([*given, "--streams", "2", "--workers", "here"]) == 0
    told = capsys.readouterr().out
    assert "dropped asr-clean: no event in a clip: 8" in told
    assert "0 streams, 0.000 h" in told


def test_several_processes_give_the_same_bytes(material: Path, whole: Path, tmp_path: Path) -> None:
    build(tmp_path, made(material), Beside(2))
    assert contents(tmp_path) == contents(whole)


@pytest.mark.skipif(not find_spec("ray"), reason="needs Ray")
def test_a_ray_job_that_was_killed_is_gone_on_with_and_gives_the_same_bytes(
    material: Path, whole: Path, tmp_path: Path
) -> None:
    killed_in_the_middle(command(material, tmp_path, "--workers", "ray"), tmp_path)
    build(tmp_path, made(material), Here())
    assert contents(tmp_path) == contents(whole)


def test_an_address_is_that_of_a_ray_cluster(
    material: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = command(material, tmp_path, "--workers", "here", "--address", "127.0.0.1:6379")
    assert main(given[3:]) == 1
    assert "an address is that of a Ray cluster" in capsys.readouterr().err


def test_another_seed_gives_other_streams(material: Path, whole: Path, tmp_path: Path) -> None:
    build(tmp_path, made(material, seed=4), Here())
    assert contents(tmp_path)["base.jsonl"] != contents(whole)["base.jsonl"]


def test_a_corpus_is_not_gone_on_with_by_another_recipe(material: Path, whole: Path) -> None:
    before = contents(whole)
    with pytest.raises(RecipeChanged, match="another folder"):
        build(whole, made(material, seed=4), Here())
    assert contents(whole) == before


def test_what_is_wrong_with_a_corpus_is_told(material: Path, tmp_path: Path) -> None:
    build(tmp_path, made(material), Here())
    assert main(["check", str(tmp_path)]) == 0
    first = rows_of(tmp_path)[0]
    (tmp_path / first.turns[0].audio_path).unlink()
    [problem] = problems(tmp_path)
    assert first.id in problem and "no such file" in problem
    assert main(["check", str(tmp_path)]) == 1


def test_a_shard_that_is_missing_is_told(material: Path, tmp_path: Path) -> None:
    build(tmp_path, made(material), Here())
    (tmp_path / "shards" / "00002").rename(tmp_path / "shards" / "00002.x.part")
    [problem] = problems(tmp_path)
    assert "5 of 6 shards" in problem


def test_where_no_corpus_is_that_is_told(tmp_path: Path) -> None:
    assert list(problems(tmp_path)) == ["there are no rows"]
    assert list(problems(tmp_path / "absent")) == ["there is no such folder"]
    assert main(["check", str(tmp_path / "absent")]) == 1


def test_unknown_sub_tasks_end_in_a_line(
    material: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["build", str(tmp_path), "--material", str(material), "--task", "juggle"]
    assert main(given) == 1
    assert "error: there is no sub-task juggle" in capsys.readouterr().err


def test_the_page_has_each_stream_with_its_audio_and_a_token_for_each_chunk(
    whole: Path, tmp_path: Path
) -> None:
    assert main(["page", str(whole), "--to", str(tmp_path / "page.html")]) == 0
    shown = (tmp_path / "page.html").read_text()
    rows = rows_of(whole)
    assert shown.count('src="data:audio/flac;base64,') == STREAMS
    assert all(row.id in shown for row in rows)
    responses = sum(not turn.is_silent for row in rows for turn in row.turns)
    assert shown.count("<b title=") == shown.count("<li data-at=") == responses
    figures = json.loads((whole / "figures.json").read_text())
    silent = sum(figures["chunks"].values()) - responses
    assert shown.count("<u title=") == silent
