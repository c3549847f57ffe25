"""Rows of a corpus as they are published: one JSON object a line, in any of four forms.

`python -m training.composition.rows FILE…` says which rows are broken, and why.
"""

import json
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from soundflow.audio import AudioError
from soundflow.media import open_media
from training.curation.recordings import split_of

SILENT = "<no need to response>"
_ALSO_SILENT = {SILENT, "no need to response"}

Emotion = Annotated[
    Literal["happy", "sad", "angry", "surprise", "normal", "urgent"],
    BeforeValidator(lambda emotion: emotion.lower() if isinstance(emotion, str) else emotion),
]
# As tokenisers make it of any text, so that reading tokens back gives the row's very text.
Text = Annotated[str, AfterValidator(lambda text: unicodedata.normalize("NFC", text).strip())]
Said = Annotated[Text, Field(min_length=1)]


class RowError(ValueError):
    """A line is no row; says why."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Clip(_Model):
    """Where a part of a row's audio comes from. start_s: in the row's audio."""

    label: str
    source: str
    licence: str
    role: str = ""
    start_s: float = 0.0
    end_s: float = 0.0


class Turn(_Model):
    """Some audio, and what is said when it has been heard.

    user: what is said in the audio, or what it is. emotion: of the assistant.
    """

    audio_path: Annotated[str, Field(min_length=1)]
    assistant: Said
    emotion: Emotion = "normal"
    user: Text = ""
    scene_type: str = ""

    @property
    def is_silent(self) -> bool:
        """Whether nothing is to be said."""
        return self.assistant.lower() in _ALSO_SILENT


class Row(_Model):
    """One stream: its turns' audio, one after the other.

    What the published format does not have: system, the instruction ("" = what the scene's
    default is); timed, that pauses are in the audio, so that none are to be put between; split
    and clips, where it all comes from.
    """

    id: str
    scene_type: Annotated[
        str, Field(validation_alias=AliasChoices("stream_scene_type", "scene_type"))
    ] = ""
    turns: Annotated[tuple[Turn, ...], Field(min_length=1)]
    system: Text = ""
    timed: bool = False
    split: str = ""
    clips: tuple[Clip, ...] = ()

    @property
    def audio_paths(self) -> tuple[str, ...]:
        """All its audio."""
        return tuple(turn.audio_path for turn in self.turns)

    def written(self) -> str:
        """Return the row as a line."""
        published = {
            "id": self.id,
            "stream_scene_type": self.scene_type,
            "num_turns": len(self.turns),
            "turns": [turn.model_dump() for turn in self.turns],
        }
        own = self.model_dump(include={"system", "timed", "split", "clips"}, exclude_defaults=True)
        return json.dumps(published | own, ensure_ascii=False)


class OfflineRow(_Model):
    """One question and its answer, without a stream: about audio, text or both."""

    assistant: Said
    user: Text = ""
    audio_path: str = ""
    id: str = ""
    system: Text = ""

    @model_validator(mode="after")
    def _asks_something(self) -> "OfflineRow":
        if not self.user and not self.audio_path:
            raise ValueError("there is neither user nor audio_path")
        return self

    @property
    def audio_paths(self) -> tuple[str, ...]:
        """Its audio, if any."""
        return (self.audio_path,) if self.audio_path else ()

    def written(self) -> str:
        """Return the row as a line."""
        return json.dumps(self.model_dump(exclude_defaults=True), ensure_ascii=False)


AnyRow = Row | OfflineRow


@dataclass(frozen=True, slots=True)
class Broken:
    """What is wrong with a line. line: from 1 on."""

    line: int
    id: str
    why: str


def parse(line: str) -> AnyRow:
    """Read one line in whichever form it is. RowError."""
    try:
        fields = json.loads(line, object_hook=_without_nothing)
    except json.JSONDecodeError as error:
        raise RowError(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise RowError(f"not an object but a {type(fields).__name__}")
    try:
        return _row(fields)
    except ValidationError as error:
        raise RowError(
            "; ".join(_told(each["loc"], each["msg"]) for each in error.errors())
        ) from error


def read_rows(path: Path) -> Iterator[AnyRow]:
    """Read a file of rows. RowError, which names the line."""
    for number, line in _lines(path):
        try:
            yield parse(line)
        except RowError as error:
            raise RowError(f"{path}, line {number}: {error}") from error


def write_rows(path: Path, rows: Iterable[AnyRow]) -> None:
    """Write a file of rows."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(row.written() + "\n" for row in rows)


def broken_rows(path: Path) -> Iterator[Broken]:
    """Find the rows that cannot be trained on: their form, their ids, their audio."""
    seen: dict[str, int] = {}
    for number, line in _lines(path):
        try:
            row = parse(line)
        except RowError as error:
            yield Broken(number, "", str(error))
            continue
        if row.id and seen.setdefault(row.id, number) != number:
            yield Broken(number, row.id, f"line {seen[row.id]} has this id too")
        if isinstance(row, Row) and row.split:
            for clip in row.clips:
                if (split := split_of(clip.source)) != row.split:
                    why = f"is of the split {row.split}, but {clip.source} is of {split}"
                    yield Broken(number, row.id, why)
        for audio in dict.fromkeys(row.audio_paths):
            if why := _unheard(path.parent / audio):
                yield Broken(number, row.id, f"{audio}: {why}")


def main(arguments: Sequence[str]) -> int:
    """Check files; return the exit status: 1 where a row is broken, 2 where there is no file."""
    if absent := [name for name in arguments if not Path(name).is_file()]:
        print(f"there is no file {', '.join(absent)}", file=sys.stderr)
        return 2
    if not arguments:
        print("usage: python -m training.composition.rows FILE…", file=sys.stderr)
        return 2
    found = 0
    for path in map(Path, arguments):
        for broken in broken_rows(path):
            print(f"{path}:{broken.line}: {broken.id or '(no id)'}: {broken.why}")
            found += 1
    print(f"{found} broken" if found else "all rows are sound", file=sys.stderr)
    return int(found > 0)


def _row(fields: dict[str, object]) -> AnyRow:
    if "turns" in fields:
        row = Row.model_validate(fields)
        if fields.get("num_turns", len(row.turns)) != len(row.turns):
            raise RowError(f"num_turns is {fields['num_turns']}, but there are {len(row.turns)}")
        return row
    if "conversation" in fields:
        return Row.model_validate({"id": "", **fields, "turns": fields["conversation"]})
    if "merge_path" in fields:
        turn = {**fields, "audio_path": fields["merge_path"]}
        return Row.model_validate({"id": "", **fields, "turns": [turn]})
    if "assistant" in fields:
        return OfflineRow.model_validate(fields)
    raise RowError(f"none of the forms has just these fields: {', '.join(sorted(fields))}")


def _without_nothing(fields: dict[str, object]) -> dict[str, object]:
    """Leave out what is missing: the published code writes that in either of these ways."""
    return {name: value for name, value in fields.items() if value not in (None, "None")}


def _told(place: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, place))}: {message}" if place else message


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8") as file:
        yield from ((number, line) for number, line in enumerate(file, 1) if line.strip())


def _unheard(path: Path) -> str:
    """Say why a file cannot be heard; "" when it can."""
    try:
        with open_media(path) as media:
            next(media.chunks(["row"]))
    except FileNotFoundError:
        return "there is no such file"
    except (AudioError, OSError) as error:
        return str(error)
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
