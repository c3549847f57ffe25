"""Counting a named sound: single bursts where it is made of bursts, stretches where it lasts.

YAMNet's scores are too coarse to part two barks of one second; the loudness of Whisper's log-mel
frames parts them, and the scores say whose bursts they are.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from soundflow.cascade.sound_classes import places
from soundflow.cascade.sounds import Edge, Latch, Scores, event_latch
from soundflow.cascade.vocabulary import SoundGroup
from soundflow.frontend import Array

# A burst begins where loudness has risen by this much from the last dip, and ends where it has
# fallen as much from its peak.
SWING_DB = 9.0
# Echoes and rustling lie this much below the loudest burst near by.
FAINT_DB = 15.0
# What lies before the stream, on the scale of summed mel power (full scale is about +30).
QUIET_DB = -60.0
NEVER_DB = 1000.0  # louder than any burst: the score confirms none
# Someone asked for the sound, so that less evidence will do than for naming it unasked.
COUNT_ON = 0.15
# A burst is inside the 0.96 s of the scores of its own chunk and of the next two.
SEEN_CHUNKS = 3


class CountTracker:
    """Count the occurrences of one kind of sound."""

    def __init__(self, group: SoundGroup, counter: "Bursts | Stretches | None" = None) -> None:
        """Count from the beginning, or go on with a counter."""
        self._classes = places(group.classes)
        self.counter = counter or (Bursts() if group.is_short else Stretches())

    def hear(self, index: int, scores_C: Scores, log_mel_TM: Array) -> int:
        """Return how many occurrences chunk `index` makes known; chunks come in order.

        A burst is known when it is over and a score has confirmed it, at most 1.2 s after its
        peak; a stretch when it begins. `log_mel_TM`: the encoder's `log_mel`.
        """
        level = float(scores_C[self._classes].max())
        return self.counter.hear(index, level, log_mel_TM)


@dataclass(slots=True)
class Stretches:
    """Counts stretches of a lasting sound, parted by pauses."""

    latch: Latch = field(default_factory=event_latch)

    def hear(self, index: int, level: float, log_mel_TM: Array) -> int:
        """Return how many begin in a chunk."""
        return int(self.latch.hear(index, level) is Edge.ROSE)


@dataclass(frozen=True, slots=True)
class Burst:
    """One rise and fall of loudness; `chunk` is where its peak lies."""

    chunk: int
    peak_db: float


@dataclass(slots=True)
class BurstFinder:
    """Find the bursts in a stream of 10 ms frames, each when it is over."""

    dip_db: float = QUIET_DB
    peak: Burst | None = None

    def hear(self, index: int, loudness_db: NDArray[np.floating]) -> list[Burst]:
        """Return the bursts that end in chunk `index`, given the loudness of its frames."""
        bursts = (self._step(index, float(frame_db)) for frame_db in loudness_db)
        return [burst for burst in bursts if burst]

    def _step(self, index: int, frame_db: float) -> Burst | None:
        if self.peak is None:
            self.dip_db = min(self.dip_db, frame_db)
            if frame_db >= self.dip_db + SWING_DB:
                self.peak = Burst(index, frame_db)
            return None
        if frame_db > self.peak.peak_db:
            self.peak = Burst(index, frame_db)
        if frame_db > self.peak.peak_db - SWING_DB:
            return None
        over, self.peak, self.dip_db = self.peak, None, frame_db
        return over


@dataclass(slots=True)
class Bursts:
    """Counts bursts that the scores confirm.

    A chunk's score is of the loudest that it covers: it confirms what is hardly fainter.
    loudest_db: of each of the newest chunks; audible_db: how loud a burst must be for that chunk's
    score to confirm it. waiting: bursts that a score may still confirm.
    """

    finder: BurstFinder = field(default_factory=BurstFinder)
    loudest_db: list[float] = field(default_factory=list)
    audible_db: list[float] = field(default_factory=list)
    waiting: list[Burst] = field(default_factory=list)

    def hear(self, index: int, level: float, log_mel_TM: Array) -> int:
        """Return how many a chunk makes known."""
        loudness_db = 10 * np.log10(np.power(10.0, log_mel_TM).sum(axis=1))
        self.loudest_db = [*self.loudest_db, float(loudness_db.max())][-SEEN_CHUNKS:]
        audible_db = max(self.loudest_db) - FAINT_DB if level >= COUNT_ON else NEVER_DB
        self.audible_db = [*self.audible_db, audible_db][-SEEN_CHUNKS:]
        known = [*self.waiting, *self.finder.hear(index, loudness_db)]
        counted = [burst for burst in known if self._is_confirmed(burst, index)]
        self.waiting = [
            burst
            for burst in known
            if burst not in counted and index - burst.chunk < SEEN_CHUNKS - 1
        ]
        return len(counted)

    def _is_confirmed(self, burst: Burst, index: int) -> bool:
        covering = self.audible_db[burst.chunk - index - 1 :]
        return burst.peak_db >= min(covering)
