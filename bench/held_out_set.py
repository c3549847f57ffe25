"""The held-out set while it is made: audio, and for each item the source that it was made from."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from soundflow.audio import SAMPLE_RATE_HZ, Pcm


@dataclass(slots=True)
class HeldOut:
    """A folder that is filled. learnt: the sources that may not be in it.

    sources: item, source, licence, for the table of them.
    """

    folder: Path
    learnt: frozenset[str]
    sources: list[tuple[str, str, str]] = field(default_factory=list)
    seconds: float = 0.0

    def may_hold(self, source: str) -> bool:
        """Whether nothing has learnt from a recording."""
        return source not in self.learnt

    def add(self, item: str, pcm: Pcm, made_of: Iterable[tuple[str, str]]) -> None:
        """Write an item's audio. made_of: sources with their licences. ValueError for a learnt one.

        item: its path in the folder, a FLAC file.
        """
        for source, licence in made_of:
            self.note(item, source, licence)
        path = self.folder / item
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.clip(pcm, -1.0, 1.0), SAMPLE_RATE_HZ)
        self.seconds += len(pcm) / SAMPLE_RATE_HZ

    def note(self, item: str, source: str, licence: str) -> None:
        """Write down what an item was made from. ValueError for what was learnt."""
        if not self.may_hold(source):
            raise ValueError(f"{item}: {source} was learnt from")
        self.sources.append((item, source, licence))
