"""The decoder's interface: what the engine steps, whichever model is behind it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeVar

from soundflow.features import Features
from soundflow.interaction import Action, ModelInfo, PastTurn, Piece, SessionSpec, TurnStart

StateT = TypeVar("StateT")


class DecoderFull(Exception):
    """No room for one more session; those that are open have theirs."""


class Speaking(Enum):
    """Where a burst of speech stands after a step."""

    MORE = "more"  # step again at once
    WAITING = "waiting"  # the text is being made elsewhere; `ready` will be called
    DONE = "done"  # nothing more until the next decision; the session listens again


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one session's drained queue led to.

    unsettled: silent, but what was heard is still being worked out; the session is stepped as if
    it spoke before it listens again.
    window_start: a session that is opened with `memory` and hears the chunks from here on is as
    this one is now; None = as the verdict before said.
    """

    action: Action
    turns: tuple[TurnStart, ...] = ()
    unsettled: bool = False
    window_start: int | None = None
    memory: str = ""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What one step added to a session's open turns. A turn is over when a piece says `ended`."""

    pieces: tuple[Piece, ...]
    speaking: Speaking


@dataclass(frozen=True, slots=True)
class Stepped:
    """What a step led to, in the order of its arguments.

    heard: None = not decided yet. What fails for one session alone is returned in its place.
    """

    heard: Sequence[Verdict | Exception | None]
    spoken: Sequence[Spoken | Exception]


class Decoder(Protocol[StateT]):
    """Step many sessions at once. Only the engine calls it, from one thread at a time.

    The decoder numbers a session's turns: from 1, or after the last of the history it is given.
    It never sees PCM.
    """

    @property
    def info(self) -> ModelInfo:
        """Name and abilities, for `session.opened` and for refusing what cannot be done."""
        ...

    @property
    def counts(self) -> Mapping[str, int]:
        """How often what has happened since it was made, by name. Any thread may ask."""
        ...

    def start(self, ready: Callable[[StateT], None]) -> None:
        """Warm up. `ready(state)` may be called from any thread: step that session again."""
        ...

    def stop(self) -> None:
        """Release threads and memory; no call follows."""
        ...

    def open(self, spec: SessionSpec, history: Sequence[PastTurn], memory: str = "") -> StateT:
        """Make a session's state. DecoderFull.

        history: its finished turns. memory: of the verdict it is rebuilt from; it hears the chunks
        from that verdict's window_start on again. "" = it hears everything.
        """
        ...

    def step(
        self,
        hearing: Sequence[tuple[StateT, Sequence[Features]]],
        speaking: Sequence[tuple[StateT, Sequence[Features]]],
    ) -> Stepped:
        """Go on, by one bounded step, with all sessions that have something to hear or to say.

        hearing: with each its whole drained queue, to decide on once; where that is not decided
        yet, the session comes again with nothing new, until it is.
        speaking: those whose last verdict was `respond` or unsettled, each with what waits in its
        queue, oldest first. That is not heard yet, and will be drained later; a decoder may look
        at it to see whether it should stop speaking.
        An error raised fails all sessions of the step.
        """
        ...

    def instruct(self, state: StateT, text: str) -> None:
        """Follow `text` from the next chunk on."""
        ...

    def cancel(self, state: StateT, turn: int) -> None:
        """Give up a turn; its next step says `ended` with reason cancelled."""
        ...

    def close(self, state: StateT) -> None:
        """Forget the session."""
        ...
