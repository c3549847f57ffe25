from pathlib import Path

import numpy as np
import pytest

from training.composition.rows import Row, broken_rows, read_rows
from training.curation.recordings import Entry, Recording, Split, split_of, write_table
from training.data import hear
from training.event_streams import main

SOUNDS = Path(__file__).parents[1] / "data" / "sounds"
TRAIN = [name for name in map(str, range(50)) if split_of(name) is Split.TRAIN]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    files = {"dog barking": "bark.flac", "glass breaking": "glass.flac", "music": "hold_music.ogg"}
    recordings = []
    for n, (label, file) in enumerate(files.items()):
        (tmp_path / file).write_bytes((SOUNDS / file).read_bytes())
        recordings.append(Recording(tmp_path / file, label, TRAIN[n], "CC0-1.0", (0.4, 0.5, 8)[n]))
    write_table(tmp_path / "sounds.csv", map(Entry, recordings))
    return tmp_path / "sounds.csv"


@pytest.mark.models
def test_streams_are_made_that_are_sound_and_the_same_again(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        assert main([str(manifest), "--to", str(folder), "--streams", "4", "--seed", "10"]) == 0
    said = capsys.readouterr().out
    assert "4 streams" in said and "accept" in said
    assert (one / "base.jsonl").read_text() == (other / "base.jsonl").read_text()
    assert not list(broken_rows(one / "base.jsonl"))
    for row in read_rows(one / "base.jsonl"):
        assert isinstance(row, Row) and row.split == "train"
        heard = hear(row, one, np.random.default_rng(0))
        told = [response.answer.text for response in heard.timeline.responses]
        named = [turn.user for turn in row.turns if turn.user]
        assert told == [f"I hear {sound}." for sound in named]
        ends = {round(clip.end_s * 16_000) for clip in row.clips if clip.role == "foreground"}
        for response, end in zip(heard.timeline.responses, sorted(ends), strict=True):
            assert (response.chunk + 1) * 6400 >= end


@pytest.mark.parametrize(
    ("table", "told"),
    [("sounds.csv", "no recording of the split test"), ("absent.csv", "absent.csv")],
)
def test_what_is_missing_is_told_in_a_line(
    manifest: Path, capsys: pytest.CaptureFixture[str], table: str, told: str
) -> None:
    given = [str(manifest.with_name(table)), "--to", str(manifest.with_name("x"))]
    assert main([*given, "--split", "test"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and told in said and said.count("\n") == 1
