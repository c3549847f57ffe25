"""One session as decision knows it: where its model state is, and what would rebuild it there."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from services.core.messages import FeaturesMessage
from soundflow.engine_session import Heard
from soundflow.interaction import Decision, OpenTurn


class SessionOver(Exception):
    """The session is closed: what still comes of it is too late."""


@dataclass(slots=True)
class Placed:
    """A session, the replica that holds its model state, and what would rebuild it there.

    version: of the model there.
    heard: the newest chunk given to the decoder. decided: the newest that a published decision
    covers. turn: the newest turn that a published decision opened.
    unwritten: turns that were opened, by number, until the record knows of them.
    window_unix_us: when chunk window_start was captured, or earlier.
    captured: when the chunks since then were captured, by index; of those that came here.
    instruction: one that memory does not hold yet; given behind chunk instructed_behind.
    placement: how often the state was placed anew; an older answer is void.
    pending: answers that are waited for.
    touched_s: when a message came last, on the monotonic clock.
    """

    session_id: str
    replica: str = ""
    version: int = 0
    heard: int = -1
    decided: int = -1
    turn: int = 0
    unwritten: dict[int, OpenTurn] = field(default_factory=dict)
    window_start: int = 0
    window_unix_us: int = 0
    memory: str = ""
    captured: deque[tuple[int, int]] = field(default_factory=deque)
    instruction: str = ""
    instructed_behind: int = -1
    placement: int = 0
    over: bool = False
    pending: int = 0
    touched_s: float = 0.0
    placing: asyncio.Lock = field(default_factory=asyncio.Lock)
    publishing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def gave(self, message: FeaturesMessage) -> None:
        """Note that a chunk was given to the decoder."""
        index = message.features.index
        if index > self.heard:
            self.heard = index
            self.captured.append((index, message.captured_unix_us))

    def instructed(self, text: str) -> None:
        """Note that the decoder was given an instruction."""
        self.instruction, self.instructed_behind = text, self.heard

    def open(self, decision: Decision) -> Sequence[int]:
        """Note the turns that a published decision opened, and return their numbers."""
        opened = [start for start in decision.turns if start.turn > self.turn]
        for start in opened:
            self.unwritten[start.turn] = OpenTurn(start.turn, start.kind, decision.index)
        self.turn = max((self.turn, *(start.turn for start in opened)))
        return [start.turn for start in opened]

    def wrote(self, turns: Iterable[int]) -> None:
        """Note that the record knows of turns."""
        for turn in turns:
            self.unwritten.pop(turn, None)

    def note(self, heard: Heard) -> None:
        """Note how far the session is, and from where its model state could be built again."""
        if heard.decision.index < self.decided:  # an old chunk that came again
            return
        self.decided = heard.decision.index
        # A memory that is as before was written before.
        if self.decided > self.instructed_behind and heard.memory != self.memory:
            self.instruction = ""
        self.window_start, self.memory = heard.window_start, heard.memory
        while self.captured and self.captured[0][0] < heard.window_start:
            self.captured.popleft()
        # Of a session that was taken over within its window, the first chunks never came here: the
        # time of an older window stays, so that more is read again than is needed, never less.
        if self.captured and self.captured[0][0] == heard.window_start:
            self.window_unix_us = self.captured[0][1]
