import pytest

from services.cli.story import Line, Story, clock
from services.core.events import CallerEvent, Gap, Overran
from soundflow.interaction import EndReason, Kind, Word
from tests.services.cli.stream import closed, ended, said, started, told


def account(*events: CallerEvent) -> list[Line]:
    story = Story()
    return [line for event in events for line in story.take(event)]


def test_a_turn_is_told_once_with_the_text_that_replaced_all_others() -> None:
    lines = account(
        started(1, Kind.TRANSCRIPT, chunk=4),
        said(1, "wreck a nice", final=False),
        said(1, "recognise", final=True),
        said(1, " speed", sequence=1, final=False),
        said(1, " speech", sequence=1),
        ended(1),
    )

    assert lines == [Line(2000, 0, "transcript", "recognise speech")]


def test_pieces_are_joined_by_sequence_however_they_come() -> None:
    [line] = account(
        started(1, Kind.ANSWER),
        said(1, " world", sequence=1),
        said(1, "hello", sequence=0),
        ended(1),
    )

    assert line.text == "hello world"


def test_a_turn_stands_where_its_first_word_was_spoken() -> None:
    words = (Word("late", 900, 1100), Word("and", 700, 800))
    [line] = account(started(1, Kind.TRANSCRIPT, chunk=9), said(1, "late", words=words), ended(1))

    assert line.at_ms == 700


def test_turns_may_overlap_and_channels_count_theirs_apart() -> None:
    lines = account(
        started(1, Kind.TRANSCRIPT),
        started(1, Kind.TRANSCRIPT, channel=1),
        said(1, "left"),
        said(1, "right", channel=1),
        started(2, Kind.ADVICE),
        said(2, "take care"),
        ended(2),
        ended(1, channel=1),
        ended(1),
    )

    assert [(line.channel, line.label, line.text) for line in lines] == [
        (0, "advice", "take care"),
        (1, "transcript", "right"),
        (0, "transcript", "left"),
    ]


def test_a_turn_that_takes_all_back_leaves_no_line() -> None:
    assert (
        account(started(1, Kind.TRANSCRIPT), said(1, "um", final=False), said(1, ""), ended(1))
        == []
    )


def test_a_text_with_line_breaks_stays_on_its_line() -> None:
    [line] = account(started(1, Kind.ANSWER), said(1, "1. Breathe.\n\n2. Call."), ended(1))

    assert line.text == "1. Breathe. 2. Call."


def test_a_turn_that_was_broken_off_says_so() -> None:
    [line] = account(started(1, Kind.ANSWER), said(1, "The"), ended(1, EndReason.CANCELLED))

    assert line.text == "The [cancelled]"


def test_what_is_open_when_its_session_closes_is_told() -> None:
    lines = account(
        started(1, Kind.TRANSCRIPT),
        started(1, Kind.TRANSCRIPT, channel=1),
        said(1, "good", final=False),
        closed(),
    )

    assert [line.text for line in lines] == ["good [interrupted]"]


def test_missing_and_dropped_audio_are_told_with_their_length() -> None:
    gap, overrun = account(told(Gap(1000, 3500, 7)), told(Overran(4000, 4800, 2)))

    assert (gap.at_ms, gap.label) == (1000, "gap")
    assert "2.5 s" in gap.text
    assert (overrun.at_ms, overrun.label) == (4000, "overrun")
    assert "0.8 s" in overrun.text


@pytest.mark.parametrize(
    ("at_ms", "written"),
    [
        (0, "00:00.0"),
        (61_250, "01:01.2"),
        (3_599_999, "59:59.9"),
        (3_600_000, "1:00:00.0"),
        (86_399_000, "23:59:59.0"),
    ],
)
def test_a_place_is_written_to_a_tenth_of_a_second(at_ms: int, written: str) -> None:
    assert clock(at_ms) == written
