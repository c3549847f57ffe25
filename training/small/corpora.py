"""The corpora that the small model is made from: which sub-tasks, how many streams, which split.

Chat and translation are left out: four million parameters do not learn them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.corpora.build import build, recipe
from training.corpora.workers import Workers
from training.curation.recordings import Split

PER_SHARD = 20
# Of the sentences read aloud, how many a recogniser is to understand: it takes most of the time.
CHECKED = 0.1

SPEECH = ("asr-clean", "asr-noisy", "asr-telephone", "asr-long")
WARNINGS = ("distress", "equipment", "hazards", "look-alikes")
SOUNDS = ("count", "narrate")


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus to be built. seed: apart from others of the same sub-tasks."""

    name: str
    tasks: tuple[str, ...]
    streams: int
    seed: int = 0
    split: Split = Split.TRAIN

    def built(self, folder: Path, tables: Sequence[Path], workers: Workers) -> Path:
        """Build it below a folder, or what is missing of it; return its own.

        tables: of recordings, and of sentences. What `build` raises.
        """
        made = recipe(tables, self.split, self.streams, PER_SHARD, self.seed, self.tasks, CHECKED)
        build(folder / self.name, made, workers)
        return folder / self.name


HEARING = (Corpus("speech", SPEECH, 840), Corpus("more-speech", SPEECH, 660, seed=1))
LISTENING = (
    *HEARING,
    Corpus("other-speech", SPEECH, 1000, seed=3),
    Corpus("warnings", WARNINGS, 300),
    Corpus("sounds", SOUNDS, 200),
)
DEV = (
    Corpus("dev-speech", SPEECH, 80, split=Split.DEV),
    Corpus("dev-sounds", (*SOUNDS, *WARNINGS), 60, split=Split.DEV),
)
