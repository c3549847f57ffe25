"""What one session's caller was told: a repeat is known by what it says, a hole by the ids."""

from collections import OrderedDict
from dataclasses import dataclass, field

from services.core.events import (
    CallerEvent,
    DecisionMade,
    Event,
    Overran,
    ResponseEnded,
    ResponseStarted,
    ResponseText,
    SessionClosed,
)
from services.transport.port import Delivered

KEPT_TURNS = 256  # a turn is repeated soon or never


@dataclass(slots=True)
class _Turn:
    """What was told of one turn. newest: the newest text of each sequence, and whether final."""

    started: bool = False
    ended: bool = False
    newest: dict[int, tuple[str, bool]] = field(default_factory=dict)


@dataclass(slots=True)
class Told:
    """Events may come more than once: a service does again what it may not have done.

    last_id: of the newest recorded event; all up to there were told. newest_turn: begun so far.
    """

    last_id: int = 0
    newest_turn: int = 0
    closed: bool = False
    _decided_chunk: int = -1
    _overran_to_ms: int = 0
    _turns: OrderedDict[int, _Turn] = field(default_factory=OrderedDict)

    def misses(self, delivered: Delivered) -> bool:
        """Tell whether events were recorded before this one that the caller was not told.

        One that does not know what came before may hide some: its sender has just begun.
        """
        event_id = delivered.told.id
        return event_id > self.last_id and delivered.previous != self.last_id

    def take(self, told: CallerEvent) -> bool:
        """Note an event; False when the caller has it already."""
        if told.id:
            if told.id <= self.last_id:
                return False
            self.last_id = told.id
        return self._take(told.event)

    def _take(self, event: Event) -> bool:
        match event:
            case DecisionMade(chunk):
                new = chunk > self._decided_chunk
                self._decided_chunk = max(chunk, self._decided_chunk)
                return new
            case Overran(_, end_ms):
                new = end_ms > self._overran_to_ms
                self._overran_to_ms = max(end_ms, self._overran_to_ms)
                return new
            case ResponseStarted(turn):
                return self._start(turn)
            case ResponseText():
                return self._say(event)
            case ResponseEnded(turn):
                new = not self._turn(turn).ended
                self._turns[turn] = _Turn(started=True, ended=True)  # its text need not be kept
                return new
            case SessionClosed():
                new, self.closed = not self.closed, True
                return new
        return True  # an error may be told twice

    def _start(self, number: int) -> bool:
        turn = self._turn(number)
        new, turn.started = not turn.started, True
        self.newest_turn = max(self.newest_turn, number)
        return new

    def _say(self, event: ResponseText) -> bool:
        turn = self._turn(event.turn)
        text, final = turn.newest.get(event.sequence, (None, False))
        if turn.ended or final or (text == event.text and not event.final):
            return False
        turn.newest[event.sequence] = event.text, event.final
        return True

    def _turn(self, number: int) -> _Turn:
        if number not in self._turns:
            self._turns[number] = _Turn()
            if len(self._turns) > KEPT_TURNS:
                self._turns.popitem(last=False)
        return self._turns[number]
