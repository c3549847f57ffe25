"""Calls and replies as bytes: nothing is lost on the way."""

import pytest
from pydantic import ValidationError

from soundflow.engine_session import EngineError, Heard, NotOpen, OutOfOrder
from soundflow.interaction import (
    Ability,
    Action,
    Decision,
    EndReason,
    Kind,
    ModelInfo,
    OpenTurn,
    Overrun,
    Past,
    PastTurn,
    Piece,
    SessionSpec,
    TurnStart,
    Word,
)
from soundflow.serving.calls import (
    CALLS,
    REPLIES,
    Answered,
    Cancel,
    Close,
    Done,
    Hear,
    Instruct,
    Open,
    Opened,
    Ping,
    Pong,
    Refused,
    Reply,
    Said,
    Speak,
    Unfollow,
    error_of,
    named,
)

SPEC = SessionSpec("Sag «mir»", frozenset({Ability.COUNT, Ability.CHAT}), "de", "en", "t", "null")
PAST = Past(
    turns=(PastTurn(1, Kind.ANSWER, "So.", 4),),
    open_turns=(OpenTurn(2, Kind.TRANSCRIPT, 7),),
    window_start=5,
    decided=8,
    memory="m",
)
HEARD = Heard(
    Decision("s", 9, Action.RESPOND, (TurnStart(3, Kind.ADVICE, "calm"),)), Overrun(1, 2), 5, "m"
)


def test_calls_come_back_as_they_were() -> None:
    calls = (
        Ping(1),
        Open(2, "s", SPEC, PAST),
        Hear(3, "s", 9, last=True),
        Speak(4, "s", 3),
        Unfollow(5, 4),
        Instruct(6, "s", "halt"),
        Cancel(7, "s", 3),
        Close(2**52, "s"),
    )
    assert CALLS.validate_json(CALLS.dump_json(calls)) == calls


def test_replies_come_back_as_they_were() -> None:
    said = Piece(3, 1, " ja", final=False, words=(Word("ja", 400, 800),))
    replies: list[Reply] = [
        Pong(1, "e", ModelInfo("null", frozenset({Ability.CHAT}), frozenset({"en"}), {"a": "b"})),
        Opened(2, 5),
        Answered(3, HEARD),
        Said(4, said),
        Said(4, Piece(3, 2, ended=EndReason.INTERRUPTED)),
        Done(4),
        Refused(5, "NotOpen", "no"),
    ]
    assert REPLIES.validate_json(REPLIES.dump_json(replies)) == replies


@pytest.mark.parametrize("data", [b"", b"{}", b'[{"op": "sing", "call": 1}]', b'[{"op": "ping"}]'])
def test_what_is_no_call_is_refused(data: bytes) -> None:
    with pytest.raises(ValidationError):
        CALLS.validate_json(data)


@pytest.mark.parametrize(
    "error", [EngineError("a"), NotOpen("b"), OutOfOrder("c"), ValueError("d")]
)
def test_an_error_is_the_same_on_the_other_side(error: Exception) -> None:
    back = error_of(named(error), str(error))
    assert type(back) is type(error)
    assert str(back) == str(error)


def test_an_error_that_nobody_expected_keeps_its_name() -> None:
    back = error_of(named(KeyError("k")), "k")
    assert type(back) is RuntimeError
    assert str(back) == "KeyError: k"
