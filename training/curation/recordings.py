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

from soundflow.audio import SAMPLE_RATE_HZ, Pcm
from soundflow.media import open_media


class Split(StrEnum):
    """What a recording is for."""

    TRAIN = "train"
    DEV = "dev"
    TEST = "test"


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


def split_of(source: str) -> Split:
    """Return which split a source belongs to: by its name alone, for ever the same."""
    place = int.from_bytes(hashlib.sha256(source.encode()).digest()[:8], "big") % 100
    if place < TEST_SHARE:
        return Split.TEST
    return Split.DEV if place < TEST_SHARE + DEV_SHARE else Split.TRAIN


def read_pcm(path: Path) -> Pcm:
    """Read any audio file as 16 kHz mono. AudioError, OSError."""
    with open_media(path) as media:
        pieces = [chunk.pcm[: chunk.samples] for chunk in media.chunks(["clip"])]
    pcm_S: Pcm = np.concatenate(pieces)
    return pcm_S


def read_manifest(path: Path) -> Iterator[Recording]:
    """Read a CSV table with the columns path (from the table's folder), label, source, licence.

    ValueError, which names the line.
    """
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            try:
                file_path = path.parent / row["path"]
                duration_s = float(row.get("duration_s") or 0.0)
                yield Recording(file_path, row["label"], row["source"], row["licence"], duration_s)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: {error!r}") from error


def write_manifest(path: Path, recordings: Iterable[Recording]) -> None:
    """Write what `read_manifest` reads."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "source", "licence", "duration_s"])
        for each in recordings:
            place = each.path.relative_to(path.parent)
            writer.writerow([place, each.label, each.source, each.licence, each.duration_s])


def seconds(pcm_S: Pcm) -> float:
    """Return how long a clip is."""
    return len(pcm_S) / SAMPLE_RATE_HZ
