import json
from pathlib import Path

import pytest

from tests.training.corpus import made_row
from training.composition.rows import (
    SILENT,
    Broken,
    Clip,
    OfflineRow,
    Row,
    RowError,
    Turn,
    broken_rows,
    main,
    parse,
    read_rows,
    write_rows,
)
from training.curation.recordings import Split, split_of

# As it stands in the published data, from SPEC's description of the format.
PUBLISHED = {
    "id": "s-1",
    "stream_scene_type": "voice chatting",
    "num_turns": 2,
    "turns": [
        {
            "user": "What is the time?",
            "assistant": "Nearly noon.",
            "emotion": "happy",
            "scene_type": "question",
            "audio_path": "a.wav",
        },
        {
            "user": "rain",
            "assistant": "<no need to response>",
            "emotion": "normal",
            "scene_type": "noise",
            "audio_path": "b.wav",
        },
    ],
}


def test_a_published_row_is_read_and_written_as_it_was() -> None:
    row = parse(json.dumps(PUBLISHED))
    assert isinstance(row, Row)
    assert [turn.is_silent for turn in row.turns] == [False, True]
    assert row.audio_paths == ("a.wav", "b.wav")
    assert json.loads(row.written()) == PUBLISHED


def test_a_conversation_is_a_row() -> None:
    turns = [{"audio_path": "a.wav", "assistant": "Yes.", "emotion": None}]
    row = parse(json.dumps({"conversation": turns}))
    assert row == Row(id="", turns=(Turn(audio_path="a.wav", assistant="Yes."),))


def test_the_short_form_is_a_row_of_one_turn() -> None:
    row = parse('{"merge_path": "a.wav", "assistant": "Run!", "emotion": "Urgent"}')
    assert row == Row(id="", turns=(Turn(audio_path="a.wav", assistant="Run!", emotion="urgent"),))


@pytest.mark.parametrize(
    ("line", "row"),
    [
        (
            '{"user": "What is it?", "assistant": "A dog.", "audio_path": "a.wav"}',
            OfflineRow(user="What is it?", assistant="A dog.", audio_path="a.wav"),
        ),
        (
            '{"user": "None", "assistant": "A dog.", "audio_path": "a.wav"}',
            OfflineRow(assistant="A dog.", audio_path="a.wav"),
        ),
        ('{"user": "Hi", "assistant": "Hello."}', OfflineRow(user="Hi", assistant="Hello.")),
    ],
)
def test_the_offline_forms_are_read(line: str, row: OfflineRow) -> None:
    assert parse(line) == row
    assert parse(row.written()) == row


@pytest.mark.parametrize("said", [SILENT, " <No need to response> ", "no need to response"])
def test_silence_has_several_spellings(said: str) -> None:
    assert Turn(audio_path="a", assistant=said).is_silent


@pytest.mark.parametrize("seed", range(10))
def test_what_is_written_is_what_is_read(seed: int, tmp_path: Path) -> None:
    clip = Clip(label="bark", source="dog.mp3", licence="CC0-1.0", start_s=0.4, end_s=1.0)
    row = made_row(seed, tmp_path).model_copy(update={"clips": (clip,), "scene_type": "é"})
    path = tmp_path / "rows.jsonl"
    write_rows(path, [row, row])
    assert list(read_rows(path)) == [row, row]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[1]", "not an object but a list"),
        ('{"id": "a"}', "none of the forms has just these fields: id"),
        ('{"assistant": "Hi"}', "neither user nor audio_path"),
        ('{"id": "a", "turns": []}', "turns: Tuple should have at least 1 item"),
        ('{"turns": [{"audio_path": "a", "assistant": "b"}]}', "id: Field required"),
        ('{"id": "a", "turns": [{"assistant": "b"}]}', "turns.0.audio_path: Field required"),
        ('{"id": "a", "turns": [{"audio_path": "a", "assistant": " "}]}', "turns.0.assistant"),
        (
            '{"id": "a", "turns": [{"audio_path": "a", "assistant": "b", "emotion": "bored"}]}',
            "turns.0.emotion: Input should be 'happy'",
        ),
        (
            '{"id": "a", "num_turns": 2, "turns": [{"audio_path": "a", "assistant": "b"}]}',
            "num_turns is 2, but there are 1",
        ),
    ],
)
def test_a_broken_line_says_why(line: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(RowError, match=why.replace("(", r"\(")):
        parse(line)
    path = tmp_path / "rows.jsonl"
    path.write_text(f'\n{{"user": "Hi", "assistant": "Hello."}}\n{line}\n')
    with pytest.raises(RowError, match="line 3: "):
        list(read_rows(path))
    [broken] = broken_rows(path)
    assert broken.line == 3 and why in broken.why


def test_audio_that_cannot_be_heard_and_ids_used_twice_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = made_row(0, tmp_path, turns=2)
    missing = Row(id="missing", turns=(Turn(audio_path="gone.wav", assistant="a"),))
    (tmp_path / "text.wav").write_text("no audio")
    text = Row(id="text", turns=(Turn(audio_path="text.wav", assistant="a"),))
    path = tmp_path / "rows.jsonl"
    write_rows(path, [sound, missing, text, sound])
    found = list(broken_rows(path))
    assert found[0] == Broken(2, "missing", "gone.wav: there is no such file")
    assert (found[1].line, found[1].id) == (3, "text")
    assert found[2] == Broken(4, "row-0", "line 1 has this id too")
    assert main([str(path)]) == 1
    assert f"{path}:2: missing: gone.wav" in capsys.readouterr().out
    write_rows(path, [sound])
    assert main([str(path)]) == 0


def test_a_recording_on_the_wrong_side_is_found(tmp_path: Path) -> None:
    row = made_row(0, tmp_path)
    sources = {split_of(name): name for name in map(str, range(100))}
    clips = {
        split: Clip(label="x", source=source, licence="CC0-1.0")
        for split, source in sources.items()
    }
    mixed = row.model_copy(update={"clips": (clips[Split.TRAIN], clips[Split.TEST])})
    write_rows(tmp_path / "rows.jsonl", [mixed])
    why = f"is of the split train, but {sources[Split.TEST]} is of test"
    assert list(broken_rows(tmp_path / "rows.jsonl")) == [Broken(1, row.id, why)]


def test_nothing_to_check_is_not_called_sound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == main([str(tmp_path / "absent.jsonl")]) == 2
    said = capsys.readouterr().err
    assert "usage" in said and "absent.jsonl" in said and "sound" not in said
