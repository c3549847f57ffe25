"""What corpora are made of: a table of recorded sounds and speech, and what is said in words.

The table is CSV with the columns of `training.curation.recordings.read_manifest` and: kind
(`event`, `place`, `music`, `speech`, `sentence`), warning (what to say of a sound that is
dangerous), language and key (of speech; recordings of one key say the same in different languages).
A sentence is what a synthesised voice reads: no path, and its source is its text (`text_source`).
"""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from soundflow.cascade.vocabulary import resolve_sound
from training.curation.recordings import Recording, Split, split_of

COLUMNS = (
    *("path", "label", "source", "licence", "duration_s", "kind", "warning", "language", "key"),
)
KINDS = frozenset({"event", "place", "music", "speech", "sentence"})
TRIES = 1000

ItemT = TypeVar("ItemT")


class MaterialMissing(ValueError):
    """There is nothing of what a task needs, in the split."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A recorded sound. name: what it is called when it is told, as "a dog barking"."""

    recording: Recording
    name: str
    kind: str
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Recorded speech. text: what is said, in its language."""

    recording: Recording
    text: str
    language: str
    key: str


@dataclass(frozen=True, slots=True)
class Material:
    """What may be used together: of one split. sentences: to be read aloud; label: what is said."""

    split: Split
    sounds: tuple[Sound, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    sentences: tuple[Recording, ...] = ()

    def events(self) -> Sequence[Sound]:
        """Return the sounds of which it is known what to call them."""
        return _some((each for each in self.sounds if each.kind == "event"), "sound events", self)

    def hazards(self) -> Sequence[Sound]:
        """Return the sounds of which somebody must be warned."""
        return _some((each for each in self.events() if each.warning), "dangerous sounds", self)

    def harmless(self) -> Sequence[Sound]:
        """Return the sounds that are no reason to say anything."""
        return _some((each for each in self.events() if not each.warning), "harmless sounds", self)

    def places(self) -> Sequence[Sound]:
        """Return ambiences."""
        return _some((each for each in self.sounds if each.kind == "place"), "ambiences", self)

    def music(self) -> Sequence[Sound]:
        """Return music and instruments."""
        return _some((each for each in self.sounds if each.kind == "music"), "music", self)

    def spoken(self, language: str) -> Sequence[Prompt]:
        """Return recorded speech of a language."""
        found = (each for each in self.prompts if each.language == language)
        return _some(found, f"recorded speech in {language}", self)

    def pairs(self, language: str, other: str) -> Sequence[tuple[Prompt, Prompt]]:
        """Return recordings that say the same in two languages."""
        others = {each.key: each for each in self.prompts if each.language == other}
        pairs = (
            (each, others[each.key])
            for each in self.prompts
            if each.language == language and each.key in others
        )
        return _some(pairs, f"speech in {language} and {other}", self)

    def text(self, make: Callable[[], str]) -> str:
        """Make a text anew until it is one of the split: texts are not heard in two splits either.

        MaterialMissing where all that can be made is of others.
        """
        for _ in range(TRIES):
            text = make()
            if split_of(text_source(text)) is self.split:
                return text
        raise MaterialMissing(f"no text like {text!r} is of the split {self.split}")

    def one_of(self, texts: Sequence[str], rng: np.random.Generator) -> str:
        """Draw one of the texts that are of the split. MaterialMissing."""
        own = [text for text in texts if split_of(text_source(text)) is self.split]
        return own[int(rng.integers(len(own)))] if own else _none(texts[0], self)


def text_source(text: str) -> str:
    """Return the source of what is synthesised: its very text."""
    return f"text/{' '.join(text.lower().split())}"


def read_material(paths: Sequence[Path], split: Split) -> Material:
    """Read tables, and keep what is of a split. ValueError, which names the line."""
    sounds: list[Sound] = []
    prompts: list[Prompt] = []
    sentences: list[Recording] = []
    for path in paths:
        with path.open(newline="", encoding="utf-8") as file:
            for number, row in enumerate(csv.DictReader(file), 2):
                try:
                    _add(row, path.parent, split, sounds, prompts, sentences)
                except (KeyError, TypeError, ValueError) as error:
                    raise ValueError(f"{path}, line {number}: {error!r}") from error
    return Material(split, tuple(sounds), tuple(prompts), tuple(sentences))


def _add(
    row: dict[str, str],
    folder: Path,
    split: Split,
    sounds: list[Sound],
    prompts: list[Prompt],
    sentences: list[Recording],
) -> None:
    kind = row["kind"]
    if kind not in KINDS:
        raise ValueError(f"kind is one of {sorted(KINDS)}, got {kind!r}")
    recording = Recording(
        folder / row["path"],
        row["label"],
        row["source"],
        row["licence"],
        float(row["duration_s"] or 0.0),
    )
    if recording.split is not split:
        return
    if kind == "speech":
        prompts.append(Prompt(recording, row["label"], row["language"], row["key"]))
        return
    if kind == "sentence":
        if recording.source != text_source(recording.label):
            raise ValueError("a sentence's source is its text, so that no text is in two splits")
        sentences.append(recording)
        return
    group = resolve_sound(recording.label)
    name = group.label if group and kind == "event" else recording.label
    if group or kind != "event":
        sounds.append(Sound(recording, name, kind, row["warning"]))


def _some(found: Iterable[ItemT], what: str, material: Material) -> Sequence[ItemT]:
    kept = list(found)
    if not kept:
        raise MaterialMissing(f"the split {material.split} has no {what}")
    return kept


def _none(text: str, material: Material) -> str:
    raise MaterialMissing(f"no text like {text!r} is of the split {material.split}")
