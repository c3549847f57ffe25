"""The JSON that callers send."""

import pytest

from services.core.errors import BadRequest, ProtocolBroken
from services.core.messages import SessionMessage, TurnCancelled
from services.core.wire import SESSIONS
from services.ingestion.requests import (
    AudioEndRequest,
    CancelRequest,
    InstructRequest,
    OpenRequest,
    TimestampRequest,
    parse_stream,
    parse_task,
)
from soundflow.audio import AudioFormat, Encoding
from soundflow.interaction import Ability, SessionSpec


def opening(text: str) -> OpenRequest:
    request = parse_stream(text)
    assert isinstance(request, OpenRequest)
    return request


def test_an_open_message_may_leave_everything_out() -> None:
    request = opening('{"type": "session.open"}')
    assert request.spec() == SessionSpec()
    assert request.audio.format() == AudioFormat()
    assert request.audio.layout == "mix"


def test_every_field_of_an_open_message_is_read() -> None:
    request = opening(
        """{"type": "session.open", "instruction": "translate", "abilities": ["translate"],
            "source_language": "de", "target_language": "en", "tenant": "acme", "model": "cascade",
            "audio": {"encoding": "mulaw", "sample_rate_hz": 8000, "channels": 2,
                      "layout": "split"}}"""
    )
    assert request.spec() == SessionSpec(
        "translate", frozenset({Ability.TRANSLATE}), "de", "en", "acme", "cascade"
    )
    assert request.audio.format() == AudioFormat(Encoding.MULAW, 8000, 2)
    assert request.audio.layout == "split"


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ('{"type": "instruct", "text": "stop"}', InstructRequest(type="instruct", text="stop")),
        ('{"type": "cancel", "turn": 3}', CancelRequest(type="cancel", turn=3)),
        (
            '{"type": "audio.timestamp", "timestamp_ms": 0}',
            TimestampRequest(type="audio.timestamp", timestamp_ms=0),
        ),
        ('{"type": "audio.end"}', AudioEndRequest(type="audio.end")),
    ],
)
def test_later_messages_are_read(text: str, request_: object) -> None:
    assert parse_stream(text) == request_


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [
        ("", "bad_json", "JSON"),
        ('{"type": "instruct"}', "bad_field", "instruct.text"),
        ('{"type": "cancel", "turn": 0}', "bad_field", "cancel.turn"),
        ('{"type": "cancel", "turn": "soon"}', "bad_field", "cancel.turn"),
        ('{"type": "cancel", "turn": 2147483648}', "bad_field", "cancel.turn"),
        ('{"type": "audio.timestamp", "timestamp_ms": -1}', "bad_field", "timestamp_ms"),
        ('{"type": "audio.timestamp", "timestamp_ms": 1e400}', "bad_field", "timestamp_ms"),
        ('{"type": "audio.timestamp", "timestamp_ms": 9223372036854775808}', "bad_field", "_ms"),
        ('{"type": "cancel", "turn": 1, "why": ""}', "unknown_field", "cancel.why"),
        ('{"type": "session.open", "audio": []}', "bad_field", "session.open.audio"),
    ],
)
def test_a_message_that_cannot_be_read_names_the_field(text: str, code: str, named: str) -> None:
    with pytest.raises(ProtocolBroken) as refused:
        parse_stream(text)
    assert refused.value.code == code
    assert named in refused.value.message


def test_the_greatest_turn_that_may_be_named_can_be_told_to_the_other_services() -> None:
    request = parse_stream('{"type": "cancel", "turn": 2147483647}')
    assert isinstance(request, CancelRequest)
    message = SessionMessage("s", 1, TurnCancelled(request.turn))
    assert SESSIONS.load(SESSIONS.dump(message)) == message


def test_a_task_says_what_to_do_with_its_channels() -> None:
    request = parse_task('{"abilities": ["transcribe"], "layout": "split"}')
    assert request.spec() == SessionSpec(abilities=frozenset({Ability.TRANSCRIBE}))
    assert request.layout == "split"


def test_a_task_has_no_audio_format() -> None:
    with pytest.raises(ProtocolBroken, match="audio"):
        parse_task('{"audio": {}}')


def test_an_unknown_ability_is_named_with_those_there_are() -> None:
    with pytest.raises(BadRequest, match=r"'sing' is no ability; use transcribe, .*chat"):
        parse_task('{"abilities": ["sing"]}').spec()
