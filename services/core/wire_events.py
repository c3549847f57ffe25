"""Callers' events as protobuf, and back."""

from typing import Any

from google.protobuf.message import Message

from services.core.events import (
    CallerEvent,
    CloseReason,
    DecisionMade,
    ErrorEvent,
    Event,
    Gap,
    Overran,
    ResponseEnded,
    ResponseStarted,
    ResponseText,
    SessionClosed,
    SessionOpened,
    SessionResumed,
)
from services.core.generated.soundflow.v1 import stream_pb2 as pb
from services.core.wire_values import bad_message, enum_from_proto, enum_to_proto
from soundflow.interaction import Action, EndReason, Kind, Word


def event_to_proto(told: CallerEvent) -> pb.ResponseEvent:
    """Write an event and whose it is."""
    # The names are the same on every protocol; protobuf's have no dots.
    field: dict[str, Any] = {told.event.type.replace(".", "_"): _to_proto(told.event)}
    return pb.ResponseEvent(session_id=told.session_id, channel=told.channel, id=told.id, **field)


def event_from_proto(proto: pb.ResponseEvent) -> CallerEvent:
    """Read an event. BadRequest when it holds none, or one that cannot be."""
    if not proto.session_id:
        raise bad_message("an event names its session; `session_id` is empty")
    return CallerEvent(proto.session_id, _from_proto(proto), proto.channel, proto.id)


def _to_proto(event: Event) -> Message:
    match event:
        case SessionOpened(session_id, model, resume_token, chunk_ms):
            return pb.SessionOpened(
                session_id=session_id, model=model, chunk_ms=chunk_ms, resume_token=resume_token
            )
        case SessionResumed(session_id, model, chunk, chunk_ms):
            return pb.SessionResumed(
                session_id=session_id, model=model, chunk=chunk, chunk_ms=chunk_ms
            )
        case DecisionMade(chunk, end_ms, decision, latency_ms):
            action = enum_to_proto(decision, pb.Action, "ACTION")
            return pb.DecisionMade(
                chunk=chunk, end_ms=end_ms, decision=action, latency_ms=latency_ms
            )
        case ResponseStarted(turn, chunk, kind, emotion):
            kind_value = enum_to_proto(kind, pb.Kind, "KIND")
            return pb.ResponseStarted(turn=turn, chunk=chunk, kind=kind_value, emotion=emotion)
        case ResponseText(turn, sequence, text, final, words):
            return pb.ResponseText(
                turn=turn,
                sequence=sequence,
                text=text,
                final=final,
                words=[
                    pb.Word(text=word.text, start_ms=word.start_ms, end_ms=word.end_ms)
                    for word in words
                ],
            )
        case ResponseEnded(turn, end_reason):
            reason_value = enum_to_proto(end_reason, pb.EndReason, "END_REASON")
            return pb.ResponseEnded(turn=turn, reason=reason_value)
        case Gap(start_ms, end_ms, chunks) | Overran(start_ms, end_ms, chunks):
            return pb.AudioSpan(start_ms=start_ms, end_ms=end_ms, chunks=chunks)
        case ErrorEvent(code, message):
            return pb.ErrorEvent(code=code, message=message)
        case SessionClosed(close_reason, chunks, turns):
            return pb.SessionClosed(reason=close_reason.value, chunks=chunks, turns=turns)


def _from_proto(proto: pb.ResponseEvent) -> Event:
    match proto.WhichOneof("event"):
        case "session_opened":
            opened = proto.session_opened
            return SessionOpened(
                opened.session_id, opened.model, opened.resume_token, opened.chunk_ms
            )
        case "session_resumed":
            resumed = proto.session_resumed
            return SessionResumed(
                resumed.session_id, resumed.model, resumed.chunk, resumed.chunk_ms
            )
        case "decision":
            made = proto.decision
            action = enum_from_proto(made.decision, Action, pb.Action, "ACTION")
            return DecisionMade(made.chunk, made.end_ms, action, made.latency_ms)
        case "response_started":
            started = proto.response_started
            kind = enum_from_proto(started.kind, Kind, pb.Kind, "KIND")
            return ResponseStarted(started.turn, started.chunk, kind, started.emotion)
        case "response_text":
            text = proto.response_text
            words = tuple(Word(word.text, word.start_ms, word.end_ms) for word in text.words)
            return ResponseText(text.turn, text.sequence, text.text, text.final, words)
        case "response_ended":
            ended = proto.response_ended
            reason = enum_from_proto(ended.reason, EndReason, pb.EndReason, "END_REASON")
            return ResponseEnded(ended.turn, reason)
        case "gap":
            return Gap(proto.gap.start_ms, proto.gap.end_ms, proto.gap.chunks)
        case "overrun":
            return Overran(proto.overrun.start_ms, proto.overrun.end_ms, proto.overrun.chunks)
        case "error":
            return ErrorEvent(proto.error.code, proto.error.message)
        case "session_closed":
            return _closed_from_proto(proto.session_closed)
        case _:
            raise bad_message(f"session {proto.session_id!r} got an event without content")


def _closed_from_proto(closed: pb.SessionClosed) -> SessionClosed:
    try:
        reason = CloseReason(closed.reason)
    except ValueError:
        reasons = ", ".join(CloseReason)
        raise bad_message(f"a session closes for one of {reasons}; got {closed.reason!r}") from None
    return SessionClosed(reason, closed.chunks, closed.turns)
