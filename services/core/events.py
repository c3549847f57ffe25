"""The one vocabulary of events that callers see, the same on every protocol (DESIGN, section 6)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import ClassVar

from soundflow.audio import CHUNK_MS
from soundflow.interaction import Action, EndReason, Kind, Word


class CloseReason(StrEnum):
    """Why a session ended."""

    COMPLETE = "complete"  # the caller's audio ended and everything was answered
    CLOSED_BY_CALLER = "closed_by_caller"
    IDLE = "idle"  # no audio for longer than the platform waits
    CLIENT_GONE = "client_gone"
    CLIENT_TOO_SLOW = "client_too_slow"  # events were not read
    ERROR = "error"
    OVERLOADED = "overloaded"  # it was taken in, and no decoder had room for it
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """First event of a session."""

    type: ClassVar[str] = "session.opened"
    session_id: str
    model: str
    resume_token: str
    chunk_ms: int = CHUNK_MS


@dataclass(frozen=True, slots=True)
class SessionResumed:
    """First event of a connection that goes on with a session; what the caller missed follows.

    chunk: the first that was not accepted yet: audio goes on from `chunk * chunk_ms`.
    """

    type: ClassVar[str] = "session.resumed"
    session_id: str
    model: str
    chunk: int
    chunk_ms: int = CHUNK_MS


@dataclass(frozen=True, slots=True)
class DecisionMade:
    """A queue was drained: `chunk` is the newest chunk heard, `end_ms` its end in the session."""

    type: ClassVar[str] = "decision"
    chunk: int
    end_ms: int
    decision: Action
    latency_ms: float


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    """A turn begins."""

    type: ClassVar[str] = "response.started"
    turn: int
    chunk: int
    kind: Kind
    emotion: str = ""


@dataclass(frozen=True, slots=True)
class ResponseText:
    """A turn's text. Not final: the next event of the same turn and sequence may replace it."""

    type: ClassVar[str] = "response.text"
    turn: int
    sequence: int
    text: str
    final: bool
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class ResponseEnded:
    """A turn is over."""

    type: ClassVar[str] = "response.ended"
    turn: int
    reason: EndReason


@dataclass(frozen=True, slots=True)
class Gap:
    """Input that was missing and is heard as silence."""

    type: ClassVar[str] = "gap"
    start_ms: int
    end_ms: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Overran:
    """Input that was dropped, because it was not heard in time."""

    type: ClassVar[str] = "overrun"
    start_ms: int
    end_ms: int
    chunks: int


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """What is wrong, and what to do. `code` is stable; `message` is for people."""

    type: ClassVar[str] = "error"
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """Last event of a session."""

    type: ClassVar[str] = "session.closed"
    reason: CloseReason
    chunks: int
    turns: int


Event = (
    SessionOpened
    | SessionResumed
    | DecisionMade
    | ResponseStarted
    | ResponseText
    | ResponseEnded
    | Gap
    | Overran
    | ErrorEvent
    | SessionClosed
)


@dataclass(frozen=True, slots=True)
class CallerEvent:
    """An event and whose it is.

    channel: counts the channels of a split stereo call from 0.
    id: its place in the session's record, from 1, by which a caller resumes; 0: not recorded.
    """

    session_id: str
    event: Event
    channel: int = 0
    id: int = 0


def to_json(caller_event: CallerEvent) -> Mapping[str, object]:
    """Return the event as the JSON object that WebSocket, server-sent events and `--json` carry.

    Fields that are empty for this event (`emotion`, `words`) are left out.
    """
    event = caller_event.event
    fields = {name: value for name, value in asdict(event).items() if value not in ("", ())}
    if isinstance(event, ResponseText):
        fields["text"] = event.text  # a replacement may be empty: it takes back what was shown
    return {
        "type": event.type,
        "session_id": caller_event.session_id,
        "channel": caller_event.channel,
        **({"id": caller_event.id} if caller_event.id else {}),
        **fields,
    }
