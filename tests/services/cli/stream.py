"""Events of one session, shortly written."""

from services.core.events import (
    CallerEvent,
    CloseReason,
    DecisionMade,
    Event,
    ResponseEnded,
    ResponseStarted,
    ResponseText,
    SessionClosed,
    SessionOpened,
)
from soundflow.interaction import Action, EndReason, Kind, Word

SESSION_ID = "s-1"


def told(event: Event, *, channel: int = 0) -> CallerEvent:
    return CallerEvent(f"{SESSION_ID}{channel or ''}", event, channel)


def opened(channel: int = 0) -> CallerEvent:
    return told(SessionOpened(SESSION_ID, "null", "token"), channel=channel)


def decided(chunk: int, action: Action, *, channel: int = 0, latency_ms: float = 5) -> CallerEvent:
    return told(DecisionMade(chunk, (chunk + 1) * 400, action, latency_ms), channel=channel)


def started(turn: int, kind: Kind, *, chunk: int = 0, channel: int = 0) -> CallerEvent:
    return told(ResponseStarted(turn, chunk, kind), channel=channel)


def said(
    turn: int,
    text: str,
    *,
    sequence: int = 0,
    final: bool = True,
    words: tuple[Word, ...] = (),
    channel: int = 0,
) -> CallerEvent:
    return told(ResponseText(turn, sequence, text, final, words), channel=channel)


def ended(turn: int, reason: EndReason = EndReason.COMPLETE, *, channel: int = 0) -> CallerEvent:
    return told(ResponseEnded(turn, reason), channel=channel)


def closed(reason: CloseReason = CloseReason.COMPLETE, *, channel: int = 0) -> CallerEvent:
    return told(SessionClosed(reason, 10, 1), channel=channel)
