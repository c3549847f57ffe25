"""Source recordings: where a clip comes from, under which licence, and in which split.

A split is a property of the source, so that nothing of a recording is ever on both sides.
"""

import csv
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from soundflow.audio import SAMPLE_RATE_HZ, AudioError, Pcm
from soundflow.media import open_media
from training.whole import written_whole


class Split(StrEnum):
    """What a recording is for."""

    TRAIN = "train"
    DEV = "dev"
    TEST = "test"


class Kind(StrEnum):
    """What a recording is of. A sentence is recorded nowhere: a synthesised voice reads it."""

    EVENT = "event"
    PLACE = "place"
    MUSIC = "music"
    SPEECH = "speech"
    SENTENCE = "sentence"


# Of a hundred sources.
TEST_SHARE, DEV_SHARE = 10, 10


@dataclass(frozen=True, slots=True)
class Recording:
    """One file, or a part of one.

    label: what is heard, in a few words; text of what is said, where it is speech.
    source: the recording that it was taken from; all its parts share it, and so its split.
    duration_s: 0.0 = not known before it is read.
    """

    path: Path
    label: str
    source: str
    licence: str
    duration_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.label or not self.source or not self.licence:
            raise ValueError(f"a recording has a label, a source and a licence, got {self}")

    @property
    def split(self) -> Split:
        """What its source is for."""
        return split_of(self.source)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a table of recordings.

    warning: what to say of a sound that is dangerous.
    language, key: of speech; recordings of one key say the same in different languages.
    """

    recording: Recording
    kind: Kind = Kind.EVENT
    warning: str = ""
    language: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        if self.kind is Kind.SENTENCE and self.recording.source != text_source(
            self.recording.label
        ):
            raise ValueError("a sentence's source is its text, so that no text is in two splits")


NEEDED_COLUMNS = ("path", "label", "source", "licence")
COLUMNS = (*NEEDED_COLUMNS, "duration_s", "kind", "warning", "language", "key")


def text_source(text: str) -> str:
    """Return the source of what is synthesised: its very text."""
    return f"text/{' '.join(text.lower().split())}"


def split_of(source: str) -> Split:
    """Return which split a source belongs to: by its name alone, for ever the same."""
    place = int.from_bytes(hashlib.sha256(source.encode()).digest()[:8], "big") % 100
    if place < TEST_SHARE:
        return Split.TEST
    return Split.DEV if place < TEST_SHARE + DEV_SHARE else Split.TRAIN


def read_pcm(path: Path) -> Pcm:
    """Read any audio file as 16 kHz mono. AudioError and OSError, which name it."""
    try:
        with open_media(path) as media:
            pieces = [chunk.pcm[: chunk.samples] for chunk in media.chunks(["clip"])]
    except AudioError as error:
        raise AudioError(error.code, f"{path}: {error}") from error
    pcm_S: Pcm = np.concatenate(pieces)
    return pcm_S


def read_table(path: Path) -> Iterator[Entry]:
    """Read a CSV table with the columns path (from the table's folder), label, source, licence.

    Any further ones of `COLUMNS` may be missing or empty. ValueError, which names column or line.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets begin with a mark
        rows = csv.DictReader(file)
        if missing := [name for name in NEEDED_COLUMNS if name not in (rows.fieldnames or ())]:
            raise ValueError(f"{path}: there is no column {', '.join(missing)}")
        for row in rows:
            try:
                yield _entry(row, path.parent)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {rows.line_num}: {error}") from error


def write_table(path: Path, entries: Iterable[Entry]) -> int:
    """Write what `read_table` reads; return how many lines. There as a whole or not at all."""
    listed = list(entries)
    with written_whole(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(_row(entry, path.parent) for entry in listed)
    return len(listed)


def _entry(row: dict[str, str], folder: Path) -> Entry:
    recording = Recording(
        folder / row["path"] if row["path"] else Path(),
        row["label"],
        row["source"],
        row["licence"],
        float(row.get("duration_s") or 0.0),
    )
    rest = [row.get(column) or "" for column in COLUMNS[-3:]]
    return Entry(recording, Kind(row.get("kind") or Kind.EVENT), *rest)


def _row(entry: Entry, folder: Path) -> tuple[str | float, ...]:
    each = entry.recording
    place = each.path.relative_to(folder).as_posix() if each.path.name else ""
    told = (place, each.label, each.source, each.licence, each.duration_s or "")
    return (*told, entry.kind, entry.warning, entry.language, entry.key)


def seconds(pcm_S: Pcm) -> float:
    """Return how long a clip is."""
    return len(pcm_S) / SAMPLE_RATE_HZ
