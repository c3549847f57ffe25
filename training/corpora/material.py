"""What corpora are made of: a table of recorded sounds and speech, and what is said in words."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from soundflow.cascade.vocabulary import resolve_sound
from training.curation.recordings import (
    Entry,
    Kind,
    Recording,
    Split,
    read_table,
    split_of,
    text_source,
)

TRIES = 1000

ItemT = TypeVar("ItemT")


class MaterialMissing(ValueError):
    """There is nothing of what a task needs, in the split."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A recorded sound. name: what it is called when it is told, as "a dog barking"."""

    recording: Recording
    name: str
    kind: Kind
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
        return _some(
            (each for each in self.sounds if each.kind is Kind.EVENT), "sound events", self
        )

    def events_but(self, name: str) -> Sequence[Sound]:
        """Return the sound events that are called something else."""
        others = (each for each in self.events() if each.name != name)
        return _some(others, f"event but {name}", self)

    def hazards(self) -> Sequence[Sound]:
        """Return the sounds of which somebody must be warned."""
        return _some((each for each in self.events() if each.warning), "dangerous sounds", self)

    def harmless(self) -> Sequence[Sound]:
        """Return the sounds that are no reason to say anything."""
        return _some((each for each in self.events() if not each.warning), "harmless sounds", self)

    def places(self) -> Sequence[Sound]:
        """Return ambiences."""
        return _some((each for each in self.sounds if each.kind is Kind.PLACE), "ambiences", self)

    def music(self) -> Sequence[Sound]:
        """Return music and instruments."""
        return _some((each for each in self.sounds if each.kind is Kind.MUSIC), "music", self)

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


def read_material(paths: Sequence[Path], split: Split) -> Material:
    """Read tables, and keep what is of a split. ValueError, which names the line."""
    entries = [
        entry for path in paths for entry in read_table(path) if entry.recording.split is split
    ]
    return Material(
        split,
        tuple(sound for entry in entries if (sound := _sound(entry))),
        tuple(
            Prompt(entry.recording, entry.recording.label, entry.language, entry.key)
            for entry in entries
            if entry.kind is Kind.SPEECH
        ),
        tuple(entry.recording for entry in entries if entry.kind is Kind.SENTENCE),
    )


def _sound(entry: Entry) -> Sound | None:
    """Return a sound as it is told; None where it is none, or nobody knows what to call it."""
    if entry.kind in (Kind.SPEECH, Kind.SENTENCE):
        return None
    if entry.kind is not Kind.EVENT:
        return Sound(entry.recording, entry.recording.label, entry.kind, entry.warning)
    group = resolve_sound(entry.recording.label)
    return Sound(entry.recording, group.label, entry.kind, entry.warning) if group else None


def _some(found: Iterable[ItemT], what: str, material: Material) -> Sequence[ItemT]:
    kept = list(found)
    if not kept:
        raise MaterialMissing(f"the split {material.split} has no {what}")
    return kept


def _none(text: str, material: Material) -> str:
    raise MaterialMissing(f"no text like {text!r} is of the split {material.split}")
