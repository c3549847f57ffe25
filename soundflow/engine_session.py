"""What the engine keeps of each session: the queue, what a step hears of it, what was answered."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from soundflow.decoder import Verdict
from soundflow.engine_replay import Numbering
from soundflow.engine_turns import Turns
from soundflow.features import Features
from soundflow.interaction import Action, Decision, EndReason, Overrun, Past, Piece

StateT = TypeVar("StateT")

KEPT_ANSWERS = 512  # chunks: more than are ever on their way


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
    memory: what of the state the chunks from there on do not tell; only the decoder reads it.
    """

    decision: Decision
    dropped: Overrun | None = None
    window_start: int = 0
    memory: str = ""


@dataclass(slots=True)
class Queued:
    """A chunk that is not decided on.

    waiters: all who want to know, as a chunk may be repeated.
    dropped: how many chunks right before it were; its decision answers for them too.
    """

    features: Features
    waiters: list[asyncio.Future[Heard]]
    dropped: int = 0

    def answers_for(self, index: int) -> bool:
        """Whether the decision on it is a chunk's, too."""
        return 0 <= self.features.index - index <= self.dropped

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


class Answers:
    """What was answered to a session's newest chunks, for those that are asked about again."""

    def __init__(self) -> None:
        self._answers: dict[int, Heard] = {}

    def keep(self, first: int, last: int, heard: Heard) -> None:
        """Keep one for chunks `first..last`."""
        self._answers |= dict.fromkeys(range(first, last + 1), heard)
        while len(self._answers) > KEPT_ANSWERS:
            del self._answers[next(iter(self._answers))]

    def find(self, index: int) -> Heard | None:
        """Return the answer to a chunk; the oldest kept where its own is forgotten."""
        oldest = next(iter(self._answers.values()), None)
        return self._answers.get(index, oldest)


@dataclass(slots=True)
class Session(Generic[StateT]):
    """One session of the engine. state: the decoder's.

    replayed_until: the newest chunk that is heard only to rebuild the state; -1 = none.
    window_start, memory: what the decoder said last of where it would begin again.
    """

    session_id: str
    state: StateT
    numbering: Numbering
    next_index: int = 0
    replayed_until: int = -1
    window_start: int = 0
    memory: str = ""
    mode: Mode = Mode.LISTENING
    waiting: bool = False  # speaks, but its next text is not there yet
    queue: deque[Queued] = field(default_factory=deque)
    in_step: Drained = field(default_factory=Drained)
    dropped: Overrun | None = None
    answers: Answers = field(default_factory=Answers)
    turns: Turns = field(default_factory=Turns)

    @classmethod
    def rebuilt(cls, session_id: str, state: StateT, past: Past) -> "Session[StateT]":
        """Make a session that goes on after its past."""
        session = cls(
            session_id,
            state,
            Numbering(past),
            next_index=past.window_start,
            replayed_until=past.decided,
            window_start=past.window_start,
            memory=past.memory,
        )
        for turn in past.open_turns:
            session.turns.open(turn.turn)
        if past.decided >= 0:  # what is older than the window was decided on, nobody knows how
            decision = Decision(session_id, past.decided, Action.SILENT)
            known = Heard(decision, None, past.window_start, past.memory)
            session.answers.keep(past.window_start - 1, past.window_start - 1, known)
        session.end_replay()
        return session

    @property
    def replaying(self) -> bool:
        """Whether what it hears next was decided on before."""
        return self.next_undecided <= self.replayed_until

    @property
    def next_undecided(self) -> int:
        """The oldest chunk that is not decided on here."""
        waiting = (*self.in_step.queue, *self.queue)
        return waiting[0].features.index if waiting else self.next_index

    @property
    def undecided(self) -> bool:
        """Whether it was given a queue to hear that is not decided on yet."""
        return bool(self.in_step.queue)

    def drain(self) -> list[Features]:
        """Take what the next step hears: what is queued; when replayed, chunk by chunk, as it was.

        Nothing while it is undecided.
        """
        if self.undecided:
            return []
        chunks = 1 if self.replaying else len(self.queue)
        drained = tuple(self.queue.popleft() for _ in range(chunks))
        self.in_step, self.dropped = Drained(drained, self.dropped), None
        return [queued.features for queued in drained]

    def overheard(self) -> list[Features]:
        """Return what waits while the session speaks; replayed speech goes on as it did then."""
        return [] if self.replaying else [queued.features for queued in self.queue]

    def remember(self, verdict: Verdict) -> None:
        """Note where the decoder would begin again: with all that callers do not have yet."""
        if verdict.window_start is not None and self.turns.all_taken:
            self.window_start, self.memory = verdict.window_start, verdict.memory

    def answer(self, drained: Drained, decision: Decision) -> None:
        """Tell all who wait, and whoever asks again."""
        first = drained.queue[0].features.index
        if drained.dropped:
            first = drained.dropped.first
        heard = Heard(decision, drained.dropped, self.window_start, self.memory)
        self.answers.keep(first, decision.index, heard)
        for queued in drained.queue:
            queued.answer(heard)

    def end_replay(self) -> None:
        """End the open turns that were not found again, once all that is known was heard."""
        if not self.replaying:
            for turn in self.numbering.give_up():
                self.turns.put(Piece(turn, sequence=0, ended=EndReason.ERROR))
