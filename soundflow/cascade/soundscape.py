"""What a session says of the sounds that it hears: advice, descriptions, counts."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

from soundflow.cascade import sounds
from soundflow.cascade.counting import Bursts, CountTracker, Stretches
from soundflow.cascade.duties import Duties
from soundflow.cascade.sounds import AlarmTracker, EventTracker
from soundflow.cascade.vocabulary import SoundGroup
from soundflow.features import Features
from soundflow.interaction import Ability, Kind

NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve"),
)


@dataclass(frozen=True, slots=True)
class Count:
    """How far the counting of a sound is."""

    group: SoundGroup
    count: int
    counter: Bursts | Stretches


@dataclass(frozen=True, slots=True)
class Remembered:
    """A soundscape's state."""

    alarms: sounds.Remembered
    events: sounds.Remembered
    counting: Count | None


@dataclass(slots=True)
class Soundscape:
    """Follow one session's sounds; all are heard, whether anybody asked for them or not."""

    _alarms: AlarmTracker = field(default_factory=AlarmTracker)
    _events: EventTracker = field(default_factory=EventTracker)
    _counted: SoundGroup | None = None
    _counter: CountTracker | None = None
    _count: int = 0

    def count(self, group: SoundGroup | None) -> None:
        """Count this sound from now on; another one than before from one again."""
        if group != self._counted:
            self._counted = group
            self._counter = CountTracker(group) if group else None
            self._count = 0

    def hear(self, features: Features, duties: Duties) -> Iterator[tuple[Kind, str]]:
        """Hear a chunk; yield what is to be said of it."""
        index, scores = features.index, features.tensors["sound_scores"]
        alarm = self._alarms.hear(index, scores)
        events = self._events.hear(index, scores)
        if features.last:
            events += self._events.finish()
        if alarm and duties.has(Ability.PROACTIVE):
            yield Kind.ADVICE, alarm.row.advice
        if duties.has(Ability.DESCRIBE):
            for event in events:
                yield Kind.DESCRIPTION, _sentence(event.label)
        if self._counter:
            for _ in range(self._counter.hear(index, scores, features.tensors["log_mel"])):
                yield Kind.COUNT, self._next_number()

    def remembered(self) -> Remembered:
        """Return what is to be given to `recall`."""
        counting = None
        if self._counted and self._counter:
            counting = Count(self._counted, self._count, copy.deepcopy(self._counter.counter))
        return Remembered(self._alarms.remembered(), self._events.remembered(), counting)

    def recall(self, remembered: Remembered) -> None:
        """Go on where another soundscape was."""
        self._alarms.recall(remembered.alarms)
        self._events.recall(remembered.events)
        if counting := remembered.counting:
            self._counted, self._count = counting.group, counting.count
            self._counter = CountTracker(counting.group, counting.counter)

    def _next_number(self) -> str:
        self._count += 1
        return _sentence(NUMBERS[self._count] if self._count < len(NUMBERS) else str(self._count))


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
