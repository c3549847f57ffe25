"""The order of acknowledgement: messages end in any order, their offsets only from the front."""

from collections import deque
from dataclasses import dataclass, field
from time import monotonic
from typing import Generic, TypeVar

E = TypeVar("E")


@dataclass(slots=True)
class _Open(Generic[E]):
    """A message that was received, until all before it are finished too."""

    offset: int
    event: E
    received_s: float
    finished: bool = False


@dataclass(slots=True)
class Prefix(Generic[E]):
    """What of one partition is being worked on.

    Kafka keeps one number for a partition: all below it is finished. Faust moves that number past
    messages that are not, unless they are acknowledged strictly in order; so an event is handed
    out for acknowledgement only once every one before it is finished.
    """

    next_offset: int = -1  # of the newest message that was received, plus one
    closed: bool = False  # the partition is another replica's now
    _line: deque[_Open[E]] = field(default_factory=deque)
    _open: dict[int, _Open[E]] = field(default_factory=dict)

    def receive(self, offset: int, event: E) -> bool:
        """Take a message in. False when it came before: after a rebalance Kafka sends it again.

        The later event is the one to acknowledge. One that is neither new nor open is finished,
        and may be acknowledged at once.
        """
        if offset < self.next_offset:
            if offset in self._open:
                self._open[offset].event = event
            return False
        entry = self._open[offset] = _Open(offset, event, monotonic())
        self._line.append(entry)
        self.next_offset = offset + 1
        return True

    def is_open(self, offset: int) -> bool:
        """Say whether the message cannot be acknowledged yet."""
        return offset in self._open

    def is_worked_on(self, offset: int) -> bool:
        """Say whether the message is not finished yet."""
        entry = self._open.get(offset)
        return not self.closed and entry is not None and not entry.finished

    def finish(self, offset: int) -> list[E]:
        """Take note that a message is finished; return what may be acknowledged now, in order."""
        entry = self._open.get(offset)
        if self.closed or entry is None:
            return []
        entry.finished = True
        ready = []
        while self._line and self._line[0].finished:
            front = self._line.popleft()
            del self._open[front.offset]
            ready.append(front.event)
        return ready

    @property
    def floor(self) -> int:
        """The first offset that is not finished: what Kafka is to keep."""
        return self._line[0].offset if self._line else self.next_offset

    def held_s(self) -> float:
        """Return for how long the oldest unfinished message has held back those after it."""
        return monotonic() - self._line[0].received_s if self._line else 0.0

    def worked_on(self) -> int:
        """Return how many messages are not finished."""
        return sum(not entry.finished for entry in self._line)

    def __len__(self) -> int:
        """Return how many are not acknowledged, finished or not."""
        return len(self._line)
