import json

import pytest

from services.cli.errors import CliError
from services.cli.events import from_json
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
    to_json,
)
from soundflow.interaction import Action, EndReason, Kind, Word


@pytest.mark.parametrize(
    "event",
    [
        SessionOpened("s-1", "cascade", "token"),
        DecisionMade(3, 1600, Action.RESPOND, 12.5),
        ResponseStarted(1, 3, Kind.TRANSCRIPT),
        ResponseStarted(1, 3, Kind.ANSWER, emotion="calm"),
        ResponseText(1, 0, " hello", False, (Word(" hello", 1200, 1500),)),
        ResponseText(1, 0, "", True),
        ResponseEnded(1, EndReason.INTERRUPTED),
        Gap(400, 800, 1),
        Overran(400, 800, 1),
        ErrorEvent("odd_length", "half a sample"),
        SessionClosed(CloseReason.COMPLETE, 10, 1),
    ],
)
def test_every_event_survives_the_wire(event: Event) -> None:
    told = CallerEvent("s-1", event, channel=1)

    assert from_json(json.loads(json.dumps(to_json(told)))) == told


def test_what_only_newer_servers_know_is_passed_over() -> None:
    assert from_json({"type": "speech.audio", "session_id": "s-1", "channel": 0}) is None

    gap = {
        "type": "gap",
        "session_id": "s-1",
        "channel": 0,
        "start_ms": 0,
        "end_ms": 1,
        "chunks": 1,
    }
    assert from_json({**gap, "cause": "a new field"}) == CallerEvent("s-1", Gap(0, 1, 1))


def test_an_event_without_a_field_is_an_error_that_names_it() -> None:
    with pytest.raises(CliError, match="end_ms"):
        from_json({"type": "gap", "session_id": "s-1", "channel": 0, "start_ms": 0, "chunks": 1})


def test_an_error_before_the_session_is_read() -> None:
    refusal = {"type": "error", "code": "no_open", "message": "open first"}

    assert from_json(refusal) == CallerEvent("", ErrorEvent("no_open", "open first"))
