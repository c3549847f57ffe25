"""Public benchmarks in the form they are handed out in: what to play, what to ask, what is right.

| reader | what it reads |
|---|---|
| `librispeech` | a split's folder: `*/*/*.trans.txt` beside FLAC files |
| `covost2` | `covost_v2.<from>_<to>.<split>.tsv` (path, translation) and the clips' folder |
| `mmau` | `mmau-test-mini.json` (audio_id, question, choices, answer, task) |
| `llama_questions`, `web_questions` | CSV (Questions, Answer; question, answers) beside `audios/` |
| `alpaca_eval`, `sd_qa` | CSV, JSON or JSON lines with a question, an audio file, and a reference |

ValueError names the file and the row; files of audio are looked for only when they are read.
"""

import ast
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.evaluation.words import Spoken, comparable

AUDIO_COLUMNS = ("audio_filename", "audio_path", "audio", "path", "file")
QUESTION_COLUMNS = ("Questions", "question", "prompt", "instruction", "query")
ANSWER_COLUMNS = ("Answer", "answers", "answer", "reference", "output")


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a benchmark.

    question: "" = all of it is in the audio. expected: any of these is right; none = a matter of
    judgement. choices: what there is to choose from. group: by which results are told apart.
    """

    id: str
    audio: Path
    question: str = ""
    expected: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    group: str = ""


def librispeech(folder: Path) -> Iterator[Item]:
    """Read a split, such as `test-clean`; expected is the text."""
    files = sorted(folder.rglob("*.trans.txt"))
    if not files:
        raise ValueError(f"{folder}: there is no *.trans.txt in it")
    for file in files:
        for line in file.read_text().splitlines():
            name, _, text = line.partition(" ")
            if not text:
                raise ValueError(f"{file}: no text for {name!r}")
            yield Item(name, file.parent / f"{name}.flac", expected=(text,))


def alignments(folder: Path) -> dict[str, list[Spoken]]:
    """Read when each word was said: `*.alignment.txt`, an id, words and their ends in seconds.

    An empty word is a pause.
    """
    spoken: dict[str, list[Spoken]] = {}
    files = sorted(folder.rglob("*.alignment.txt"))
    if not files:
        raise ValueError(f"{folder}: there is no *.alignment.txt in it")
    for file in files:
        for number, line in enumerate(file.read_text().splitlines()):
            try:
                name, words, ends = line.split(" ")
                ends_ms = [1000 * float(end) for end in ends.strip('"').split(",")]
            except ValueError as error:
                raise ValueError(f"{file}, row {number + 1}: {error}") from error
            cut = words.strip('"').split(",")
            times = zip(cut, [0.0, *ends_ms], ends_ms, strict=False)
            spoken[name] = [
                Spoken(part, start_ms, end_ms)
                for word, start_ms, end_ms in times
                for part in comparable(word)
            ]
    return spoken


def covost2(table: Path, clips: Path) -> Iterator[Item]:
    """Read a table of one pair of languages; expected is the translation."""
    with table.open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)):
            place = f"{table}, row {number + 1}"
            path = _text(row, ("path",), place)
            yield Item(path, clips / path, expected=(_text(row, ("translation",), place),))


def mmau(file: Path) -> Iterator[Item]:
    """Read the questions; audio lies where `audio_id` says, from the file's folder."""
    for number, row in enumerate(_rows(file)):
        place = f"{file}, row {number + 1}"
        given = row.get("choices")
        try:
            choices = ast.literal_eval(given) if isinstance(given, str) else given
        except (SyntaxError, ValueError):
            choices = None
        if not isinstance(choices, list) or not choices:
            raise ValueError(f"{place}: no choices, got {given!r}")
        yield Item(
            str(row.get("id", number)),
            file.parent / _text(row, ("audio_id", *AUDIO_COLUMNS), place),
            _text(row, ("question",), place),
            (_text(row, ("answer",), place),),
            tuple(map(str, choices)),
            str(row.get("task", "")),
        )


def llama_questions(file: Path) -> Iterator[Item]:
    """Read spoken questions with one answer."""
    return _spoken(file)


def web_questions(file: Path) -> Iterator[Item]:
    """Read spoken questions with several answers, in a list or between semicolons."""
    return _spoken(file, several=True)


def alpaca_eval(file: Path) -> Iterator[Item]:
    """Read spoken requests, the replies to which are a matter of judgement."""
    return _spoken(file, judged=True)


def sd_qa(file: Path) -> Iterator[Item]:
    """Read spoken questions of many accents; the accent, where it is told, is the group."""
    return _spoken(file, several=True)


def _spoken(file: Path, *, several: bool = False, judged: bool = False) -> Iterator[Item]:
    folder = file.parent / "audios"
    folder = folder if folder.is_dir() else file.parent
    for number, row in enumerate(_rows(file)):
        place = f"{file}, row {number + 1}"
        question = _text(row, QUESTION_COLUMNS, place)
        expected = () if judged else _answers(row, place, several=several)
        group = str(row.get("accent", row.get("dialect", row.get("dataset", ""))))
        audio = folder / _text(row, AUDIO_COLUMNS, place)
        yield Item(str(row.get("id", number)), audio, question, expected, group=group)


def _answers(row: Mapping[str, Any], place: str, *, several: bool) -> tuple[str, ...]:
    given = next((row[name] for name in ANSWER_COLUMNS if row.get(name)), None)
    if isinstance(given, list):
        answers = [str(answer) for answer in given]
    elif given is None:
        answers = []
    else:
        answers = str(given).split(";") if several else [str(given)]
    kept = tuple(answer.strip() for answer in answers if answer.strip())
    if not kept:
        raise ValueError(f"{place}: no answer in any of {', '.join(ANSWER_COLUMNS)}")
    return kept


def _text(row: Mapping[str, Any], columns: Sequence[str], place: str) -> str:
    for column in columns:
        value = row.get(column)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, dict) and value.get("path"):  # audio as data sets' JSON has it
            return str(value["path"])
    raise ValueError(f"{place}: none of {', '.join(columns)}")


def _rows(file: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of CSV, JSON or JSON lines."""
    if file.suffix == ".csv":
        with file.open(newline="", encoding="utf-8-sig") as opened:
            yield from csv.DictReader(opened)
        return
    text = file.read_text()
    try:
        if text.lstrip().startswith("["):
            rows = json.loads(text)
        else:
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise ValueError(f"{file}: {error}") from error
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise ValueError(f"{file}, row {number + 1}: no object, but {row!r}")
        yield row
