"""What the engine keeps of each session: the queue, what a step hears of it, turns to be said."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from soundflow.features import Features
from soundflow.interaction import Decision, Overrun, Piece

StateT = TypeVar("StateT")


class EngineError(Exception):
    """A call that does not fit the session's state."""


class NotOpen(EngineError):
    """The session was never opened, or is closed."""


class OutOfOrder(EngineError):
    """A chunk came before the one that precedes it."""


class Mode(Enum):
    """What a session is doing."""

    LISTENING = "listening"
    SPEAKING = "speaking"


@dataclass(frozen=True, slots=True)
class Heard:
    """The answer to a chunk: the decision that covers it, and what was dropped before it.

    window_start: the oldest chunk that the session's state depends on now.
    """

    decision: Decision
    dropped: Overrun | None = None
    window_start: int = 0


@dataclass(slots=True)
class Queued:
    """A chunk that is not decided on. waiters: all who want to know, as a chunk may be repeated."""

    features: Features
    waiters: list[asyncio.Future[Heard]]

    def answer(self, heard: Heard) -> None:
        """Tell those who still wait."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(heard)

    def fail(self, error: EngineError) -> None:
        """Tell those who still wait that there will be no answer."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_exception(error)


@dataclass(slots=True)
class Drained:
    """What a step hears of one session: its queue, and what was dropped from it before."""

    queue: Sequence[Queued] = ()
    dropped: Overrun | None = None


@dataclass(slots=True)
class Turn:
    """A turn's pieces that nobody has taken yet."""

    pieces: deque[Piece] = field(default_factory=deque)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, piece: Piece) -> None:
        """Append a piece; it takes the place of an unread provisional one of its sequence."""
        newest = self.pieces[-1] if self.pieces else None
        if newest and not newest.final and newest.sequence == piece.sequence and not piece.ended:
            self.pieces.pop()
        self.pieces.append(piece)
        self.changed.set()


@dataclass(slots=True)
class Session(Generic[StateT]):
    """One session of the engine. state: the decoder's. turns: those not followed to their end."""

    session_id: str
    state: StateT
    mode: Mode = Mode.LISTENING
    waiting: bool = False  # speaks, but its next text is not there yet
    next_index: int = 0
    queue: deque[Queued] = field(default_factory=deque)
    in_step: Drained = field(default_factory=Drained)
    dropped: Overrun | None = None
    decision: Decision | None = None
    turns: dict[int, Turn] = field(default_factory=dict)
