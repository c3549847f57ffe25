import csv
import json
from pathlib import Path

import numpy as np
import soundfile
from pytest import fixture, raises

from soundflow.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from tests.training.tiny import write_start
from training.compare import COMPARISON, PAGE, PICTURE, main
from training.composition.rows import SILENT, Clip, Row, Turn, write_rows
from training.evaluation.held_out import SOURCE_COLUMNS


def sound(path: Path, chunks: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(1).normal(0, 0.1, chunks * CHUNK_SAMPLES)
    soundfile.write(path, samples, SAMPLE_RATE_HZ)
    return path.name


def corpus(folder: Path, *sources: str) -> Path:
    """Write two streams: the null model counts neither, but speaks when the number is due."""
    folder.mkdir(parents=True)
    turns = [(5, "1."), (5, "2."), (3, SILENT)]
    made = tuple(
        Turn(audio_path=sound(folder / f"{n}.flac", chunks), assistant=said)
        for n, (chunks, said) in enumerate(turns)
    )
    clips = tuple(Clip(label="a dog", source=source, licence="CC0-1.0") for source in sources)
    row = Row(id="a", scene_type="counting", turns=made, timed=True, split="test", clips=clips)
    write_rows(folder / "base.jsonl", [row])
    return folder


@fixture
def held_out(tmp_path: Path) -> Path:
    folder = tmp_path / "held-out"
    corpus(folder / "streams", "pack/dog.ogg")
    clips = [
        {"id": n, "path": f"near/{n}.flac", "description": "", "decision": decision}
        for n, decision in enumerate(("RESPOND", "IGNORE"))
    ]
    for clip in clips:
        sound(folder / "proactive" / str(clip["path"]), 12)
    lines = "".join(json.dumps(clip) + "\n" for clip in clips)
    (folder / "proactive" / "near.jsonl").write_text(lines)
    split = folder / "transcription" / "speakers"
    sound(split / "a.flac", 3)
    (split / "a.trans.txt").write_text("a chunk five\n")
    (split / "a.alignment.txt").write_text('a "CHUNK,FIVE" "0.6,1.0"\n')
    with (folder / "sources.csv").open("w", newline="") as file:
        csv.writer(file).writerows([SOURCE_COLUMNS, ("streams/0.flac", "pack/dog.ogg", "CC0-1.0")])
    return folder


def test_models_are_played_the_same_set_and_told_apart(tmp_path: Path, held_out: Path) -> None:
    tiny, to = write_start(tmp_path / "tiny"), tmp_path / "out"
    main(["null", str(tiny), "--held-out", str(held_out), "--to", str(to)])
    compared = json.loads((to / COMPARISON).read_text())
    assert compared["models"] == ["null", "tiny"]
    told = {each["task"]: each for each in compared["tasks"]}
    assert told["warning of danger"]["null"]["value"] == 0.5  # it always speaks
    # "chunk 4", where "chunk five" was said.
    assert told["transcription, other speakers"]["null"]["value"] == 0.5
    assert told["counting"]["null"]["of"] == told["counting"]["tiny"]["of"] == 1
    assert set(compared["default"]) == {"proactive", "transcribe", "count"}
    assert "Every figure" in (to / PAGE).read_text()
    assert (to / PICTURE).read_text().count("<circle") == 2 + 2 * 4 - 1  # tiny never warned
    assert json.loads((to / "tiny" / "evaluation.json").read_text())["model"] == "tiny"

    again = tmp_path / "again"  # what was measured before is not played anew
    main([str(to / "null"), str(to / "tiny"), "--held-out", str(held_out), "--to", str(again)])
    assert (again / COMPARISON).read_text() == (to / COMPARISON).read_text()
    assert sorted(path.name for path in again.iterdir()) == sorted([COMPARISON, PAGE, PICTURE])

    sound(held_out / "proactive" / "near" / "0.flac", 9)
    with raises(SystemExit, match="error: .*null: a report of another held-out set"):
        main([str(to / "null"), "--held-out", str(held_out), "--to", str(again)])


def test_models_of_one_name_are_refused_before_any_is_played(
    tmp_path: Path, held_out: Path
) -> None:
    models, to = [str(tmp_path / run / "step-1") for run in ("one", "other")], tmp_path / "out"
    with raises(SystemExit, match="error: .*two are called the same"):
        main([*models, "--held-out", str(held_out), "--to", str(to)])
    assert not list(to.iterdir())


def test_a_comparison_where_a_file_is_is_told_in_a_line(tmp_path: Path, held_out: Path) -> None:
    (tmp_path / "out").touch()
    with raises(SystemExit, match="error: .*out"):
        main(["null", "--held-out", str(held_out), "--to", str(tmp_path / "out")])


def test_a_set_that_was_learnt_from_is_refused(tmp_path: Path, held_out: Path) -> None:
    told = ["null", "--held-out", str(held_out), "--to", str(tmp_path / "out"), "--trained-on"]
    other = corpus(tmp_path / "other", "pack/cat.ogg")
    learnt = corpus(tmp_path / "learnt", "pack/cat.ogg", "pack/dog.ogg")
    with raises(SystemExit, match="1 sources of .*held-out are in .*learnt: pack/dog.ogg"):
        main([*told, str(other), str(learnt)])
    with raises(SystemExit, match="a row does not say what it was made from"):
        main([*told, str(corpus(tmp_path / "nameless"))])
    with raises(SystemExit, match="nowhere: there is no corpus in it"):
        main([*told, str(tmp_path / "nowhere")])
    (held_out / "sources.csv").unlink()
    with raises(SystemExit, match="is no held-out set: it has no sources.csv"):
        main([*told, str(other)])
