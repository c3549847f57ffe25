"""What a caller was told: repeats by what they say, holes by ids."""

import pytest

from services.core.events import (
    CallerEvent,
    CloseReason,
    ErrorEvent,
    Event,
    Overran,
    ResponseEnded,
    ResponseStarted,
    ResponseText,
    SessionClosed,
)
from services.ingestion.told import KEPT_TURNS, Told
from services.transport.port import Delivered
from soundflow.interaction import EndReason, Kind
from tests.services.ingestion.rig import decision


def text(text: str, *, turn: int = 1, sequence: int = 0, final: bool = False) -> ResponseText:
    return ResponseText(turn, sequence, text, final)


STARTED, ENDED = ResponseStarted(1, 0, Kind.ANSWER), ResponseEnded(1, EndReason.COMPLETE)
CLOSED = SessionClosed(CloseReason.COMPLETE, 1, 1)


def take(told: Told, *events: Event) -> list[bool]:
    """Tell events as they come from services that do not know of each other: without ids."""
    return [told.take(CallerEvent("a", event)) for event in events]


@pytest.mark.parametrize(
    "event", [decision(0), STARTED, text("a"), text("a", final=True), ENDED, Overran(0, 400, 1)]
)
def test_the_same_again_is_a_repeat(event: Event) -> None:
    assert take(Told(), event, event) == [True, False]


def test_what_a_newer_decision_covers_is_a_repeat() -> None:
    assert take(Told(), decision(3), decision(2), decision(3), decision(4)) == [
        True,
        False,
        False,
        True,
    ]


def test_a_provisional_text_is_replaced_and_a_final_one_never() -> None:
    events = [text("a"), text("ab"), text("a"), text("ab", final=True), text("abc"), text("abc")]
    assert take(Told(), *events) == [True, True, True, True, False, False]


def test_the_final_form_of_a_provisional_text_is_told() -> None:
    assert take(Told(), text("a"), text("a", final=True)) == [True, True]


def test_each_sequence_and_each_turn_has_its_own_text() -> None:
    events = [text("a"), text("a", sequence=1), text("a", turn=2)]
    assert take(Told(), *events) == [True, True, True]


def test_nothing_more_is_told_of_a_turn_that_ended() -> None:
    assert take(Told(), STARTED, ENDED, text("late"), STARTED) == [True, True, False, False]


def test_the_end_is_told_once() -> None:
    assert take(Told(), CLOSED, CLOSED) == [True, False]


def test_errors_have_nothing_to_know_them_by_but_their_ids() -> None:
    told, error = Told(), ErrorEvent("internal", "no")
    assert take(told, error, error) == [True, True]
    recorded = CallerEvent("a", error, id=7)
    assert [told.take(recorded), told.take(recorded)] == [True, False]


def test_no_more_turns_are_remembered_than_can_be_repeated() -> None:
    told = Told()
    for turn in range(1, 5 * KEPT_TURNS):
        take(told, ResponseStarted(turn, 0, Kind.ANSWER), ResponseEnded(turn, EndReason.COMPLETE))
    assert len(told._turns) == KEPT_TURNS
    assert told.newest_turn == 5 * KEPT_TURNS - 1


@pytest.mark.parametrize(
    ("last_id", "event_id", "previous", "hole"),
    [
        (0, 5, 0, False),  # the first of all
        (0, 5, 3, True),  # one was recorded before it
        (3, 5, 3, False),
        (3, 7, 5, True),
        (3, 7, 0, True),  # its sender does not know
        (5, 5, 3, False),  # a repeat misses nothing
        (5, 3, 0, False),
        (5, 0, 0, False),  # not recorded
    ],
)
def test_a_hole_is_an_event_whose_predecessor_was_not_told(
    last_id: int, event_id: int, previous: int, hole: bool
) -> None:
    told = Told(last_id=last_id)
    delivered = Delivered(CallerEvent("a", decision(0), id=event_id), previous)
    assert told.misses(delivered) is hole
