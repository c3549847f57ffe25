"""What is heard, followed chunk by chunk: alarms that call for advice, and sound events.

Shape suffix: C sound classes.
"""

import copy
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from soundflow.audio import CHUNK_MS
from soundflow.cascade.policy import POLICY, Row
from soundflow.cascade.sound_classes import places
from soundflow.cascade.vocabulary import VOCABULARY, SoundGroup

Scores = NDArray[np.float32]

# A score is of the 0.96 s that end with its chunk: one short sound is seen in up to four chunks.
ONE_SOUND_CHUNKS = 4

EVENT_ON, EVENT_OFF = 0.6, 0.3
EVENT_QUIET_CHUNKS = 3
# YAMNet gives a sound's neighbours a share of its score; what is this far below the loudest event
# of the chunk is taken for such a share.
EVENT_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class Alarm:
    """A sound that calls for advice; `onset_ms` is the start of the first chunk that had it."""

    row: Row
    onset_ms: int


@dataclass(frozen=True, slots=True)
class SoundEvent:
    """A sound that has ended; times in the session, as fine as a chunk."""

    label: str
    start_ms: int
    end_ms: int


class Edge(Enum):
    """What a latch did in a chunk."""

    NONE = "none"
    ROSE = "rose"
    FELL = "fell"


@dataclass(slots=True)
class Latch:
    """Turns a level per chunk into beginnings and endings, with hysteresis.

    It rises when `chunks` out of `span_chunks` in a row were at `on`, and falls after
    `quiet_chunks` in a row below `off`.
    first, last: the chunks where what is heard now, or was heard last, began and was last heard.
    """

    on: float
    off: float
    chunks: int
    span_chunks: int
    quiet_chunks: int
    up: bool = False
    first: int = 0
    last: int = 0
    _seen: list[int] = field(default_factory=list)

    def hear(self, index: int, level: float) -> Edge:
        """Take the level of chunk `index`; chunks come in order."""
        return self._hear_up(index, level) if self.up else self._hear_down(index, level)

    def _hear_down(self, index: int, level: float) -> Edge:
        self._seen = [seen for seen in self._seen if index - seen < self.span_chunks]
        if level < self.on:
            return Edge.NONE
        self._seen.append(index)
        if len(self._seen) < self.chunks:
            return Edge.NONE
        self.up, self.first, self.last = True, self._seen[0], index
        self._seen = []
        return Edge.ROSE

    def _hear_up(self, index: int, level: float) -> Edge:
        if level >= self.off:
            self.last = index
        if index - self.last < self.quiet_chunks:
            return Edge.NONE
        self.up = False
        return Edge.FELL

    @property
    def resting(self) -> bool:
        """As if it had never heard anything."""
        return not self.up and not self._seen


def event_latch() -> Latch:
    """Return the latch that tells one sound event from the next."""
    return Latch(EVENT_ON, EVENT_OFF, 1, 1, EVENT_QUIET_CHUNKS)


class AlarmTracker:
    """Raise one alarm for one sound: none while it lasts, a new one when it returns after a pause.

    At most one row speaks about a sound: the first of the policy that its chunk fits. No other
    does while the scores still hold that sound's beginning, and none of its family while it lasts.
    """

    def __init__(self, policy: Sequence[Row] = POLICY) -> None:
        self._ears = [_RowEar.of(row) for row in policy]
        self._deaf_until = 0

    def hear(self, index: int, scores_C: Scores) -> Alarm | None:
        """Take the sound scores of chunk `index`; chunks come in order."""
        alarm = None
        for ear in self._ears:
            level = ear.level(scores_C) if ear.latch.up or self._is_free(ear, index) else 0.0
            if ear.latch.hear(index, level) is Edge.ROSE:
                self._deaf_until = index + ONE_SOUND_CHUNKS
                alarm = Alarm(ear.row, ear.latch.first * CHUNK_MS)
        return alarm

    def remembered(self) -> "Remembered":
        """Return what is to be given to `recall`."""
        return Remembered(_stirred(self._ears), self._deaf_until)

    def recall(self, remembered: "Remembered") -> None:
        """Go on where another tracker was."""
        self._ears = [_with_latch(ear, remembered.latches) for ear in self._ears]
        self._deaf_until = remembered.deaf_until

    def _is_free(self, ear: "_RowEar", index: int) -> bool:
        """Whether a row may begin to hear something."""
        family = ear.row.family
        taken = family and any(kin.latch.up for kin in self._ears if kin.row.family == family)
        return index >= self._deaf_until and not taken


class EventTracker:
    """Name each sound of the vocabulary when it has ended."""

    def __init__(self, vocabulary: Sequence[SoundGroup] = VOCABULARY) -> None:
        self._ears = [_GroupEar.of(group) for group in vocabulary]

    def hear(self, index: int, scores_C: Scores) -> list[SoundEvent]:
        """Return the events that chunk `index` shows to be over, in order of their start."""
        levels = [float(scores_C[ear.classes].max()) for ear in self._ears]
        share = max(levels) - EVENT_SHARE
        ended = []
        for ear, level in zip(self._ears, levels, strict=True):
            heard = level if ear.latch.up or level > share else 0.0
            if ear.latch.hear(index, heard) is Edge.FELL:
                ended.append(ear.event())
        return _by_start(ended)

    def finish(self) -> list[SoundEvent]:
        """Return the events that the end of the audio cuts off."""
        return _by_start(ear.event() for ear in self._ears if ear.latch.up)

    def remembered(self) -> "Remembered":
        """Return what is to be given to `recall`."""
        return Remembered(_stirred(self._ears))

    def recall(self, remembered: "Remembered") -> None:
        """Go on where another tracker was."""
        self._ears = [_with_latch(ear, remembered.latches) for ear in self._ears]


@dataclass(frozen=True, slots=True)
class Remembered:
    """A tracker's state: the latches that are not at rest, by what they listen for."""

    latches: dict[str, Latch]
    deaf_until: int = 0


@dataclass(frozen=True, slots=True)
class _RowEar:
    row: Row
    evidence: tuple[NDArray[np.intp], ...]
    rivals: NDArray[np.intp]
    latch: Latch

    @classmethod
    def of(cls, row: Row) -> "_RowEar":
        return cls(
            row,
            tuple(places(alternative) for alternative in row.evidence),
            places(row.rivals),
            Latch(row.on, row.off, row.chunks, row.span_chunks, row.quiet_chunks),
        )

    @property
    def name(self) -> str:
        """What it listens for."""
        return self.row.name

    def level(self, scores_C: Scores) -> float:
        """Return how sure the row is; 0 where a rival is surer, until it is up."""
        level = max(float(scores_C[alternative].min()) for alternative in self.evidence)
        if self.latch.up or not self.rivals.size:
            return level
        return level if level >= scores_C[self.rivals].max() else 0.0


@dataclass(frozen=True, slots=True)
class _GroupEar:
    group: SoundGroup
    classes: NDArray[np.intp]
    latch: Latch

    @classmethod
    def of(cls, group: SoundGroup) -> "_GroupEar":
        return cls(group, places(group.classes), event_latch())

    @property
    def name(self) -> str:
        """What it listens for."""
        return self.group.label

    def event(self) -> SoundEvent:
        start_ms, end_ms = self.latch.first * CHUNK_MS, (self.latch.last + 1) * CHUNK_MS
        return SoundEvent(self.group.label, start_ms, end_ms)


AnyEar = TypeVar("AnyEar", _RowEar, _GroupEar)


def _stirred(ears: Sequence[_RowEar] | Sequence[_GroupEar]) -> dict[str, Latch]:
    return {ear.name: copy.deepcopy(ear.latch) for ear in ears if not ear.latch.resting}


def _with_latch(ear: AnyEar, latches: Mapping[str, Latch]) -> AnyEar:
    return dataclasses.replace(ear, latch=latches.get(ear.name, ear.latch))


def _by_start(events: Iterable[SoundEvent]) -> list[SoundEvent]:
    return sorted(events, key=lambda event: event.start_ms)
