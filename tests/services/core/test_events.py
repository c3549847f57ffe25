"""Events as the JSON that callers read."""

from services.core.events import CallerEvent, ResponseStarted, ResponseText, to_json
from soundflow.interaction import Kind, Word


def test_an_event_says_its_type_and_whose_it_is() -> None:
    told = CallerEvent("s-1", ResponseStarted(1, 4, Kind.ADVICE, "urgent"), channel=1)
    assert to_json(told) == {
        "type": "response.started",
        "session_id": "s-1",
        "channel": 1,
        "turn": 1,
        "chunk": 4,
        "kind": "advice",
        "emotion": "urgent",
    }


def test_what_an_event_does_not_have_is_left_out() -> None:
    assert "emotion" not in to_json(CallerEvent("s-1", ResponseStarted(1, 4, Kind.COUNT)))
    assert "words" not in to_json(CallerEvent("s-1", ResponseText(1, 0, "hello", final=True)))


def test_text_that_takes_back_what_was_shown_is_told_though_it_is_empty() -> None:
    event = to_json(CallerEvent("s-1", ResponseText(1, 0, "", final=False)))
    assert event["text"] == ""


def test_numbers_that_are_zero_are_told() -> None:
    event = to_json(CallerEvent("s-1", ResponseText(1, 0, "a", True, (Word("a", 0, 0),))))
    assert event["sequence"] == 0
    assert event["words"] == ({"text": "a", "start_ms": 0, "end_ms": 0},)
