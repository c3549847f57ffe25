"""A session that is rebuilt in the engine, around a decoder that does what the test tells it."""

import asyncio

import pytest

from soundflow.decoder import Speaking, Spoken, Verdict
from soundflow.engine_session import EngineError
from soundflow.interaction import (
    Action,
    EndReason,
    Kind,
    OpenTurn,
    Past,
    PastTurn,
    Piece,
    SessionSpec,
    TurnStart,
)
from tests.soundflow.scripted import SILENT, WAITING, Bench, ended, respond, says
from tests.waiting import DEADLINE_S

OPEN = OpenTurn(4, Kind.NOTICE, 12)
FINISHED = PastTurn(3, Kind.NOTICE, "done", 11)
PAST = Past((FINISHED,), (OPEN,), window_start=10, decided=13)
CANCELLED, ERROR = EndReason.CANCELLED, EndReason.ERROR


def names(*starts: tuple[int, Kind]) -> Verdict:
    return Verdict(Action.RESPOND, tuple(TurnStart(turn, kind) for turn, kind in starts))


def text(turn: int, text: str, sequence: int = 0) -> Piece:
    return Piece(turn, sequence, text)


def done(*pieces: Piece) -> Spoken:
    return says(*pieces, then=Speaking.DONE)


async def heard_from(bench: Bench, first: int, last: int) -> list[tuple[int, ...]]:
    """Let the session hear chunks one by one; return the turns that each decision names."""
    answers = [await bench.heard("a", index) for index in range(first, last + 1)]
    for answer in answers:
        assert (answer.decision.action is Action.RESPOND) == bool(answer.decision.turns)
    return [tuple(start.turn for start in answer.decision.turns) for answer in answers]


# Where hearing begins again


async def test_a_rebuilt_session_expects_the_first_chunk_of_its_window(bench: Bench) -> None:
    assert await bench.engine.open("a", SessionSpec("a"), PAST) == 10
    assert (await bench.heard("a", 10)).decision.index == 10
    assert await bench.engine.open("a", SessionSpec("a"), PAST) == 11


async def test_what_was_decided_on_is_heard_chunk_by_chunk_and_the_rest_together(
    bench: Bench,
) -> None:
    await bench.open("a", past=Past(window_start=10, decided=12))
    bench.decoder.hold()
    answers = [bench.hear("a", index) for index in range(10, 16)]
    bench.decoder.release()
    await asyncio.wait_for(asyncio.gather(*answers), DEADLINE_S)
    expected = [{"a": [10]}, {"a": [11]}, {"a": [12]}, {"a": [13, 14, 15]}]
    assert bench.decoder.batches("listen") == expected


async def test_replayed_speech_is_not_shown_what_waits(bench: Bench) -> None:
    past = Past(window_start=10, decided=12)
    script = await bench.open("a", verdicts=[respond(1)], speech=[WAITING], past=past)
    await bench.heard("a", 10)
    await bench.logged("speak", 1)
    answers = [bench.hear("a", index) for index in range(11, 14)]
    bench.decoder.ready(script)
    await asyncio.wait_for(asyncio.gather(*answers), DEADLINE_S)
    assert bench.decoder.batches("overhear") == [{"a": []}, {"a": []}]


async def test_the_decoder_gets_the_finished_turns_and_its_memory(bench: Bench) -> None:
    script = await bench.open("a", past=Past((FINISHED,), memory="what was"))
    assert script.asked == ["done"]
    assert script.memory == "what was"


async def test_an_answer_says_where_the_decoder_would_begin_again(bench: Bench) -> None:
    verdicts: list[Verdict | Exception | None] = [
        Verdict(Action.SILENT, window_start=7, memory="seven"),
        SILENT,  # says nothing of it: as before
        RuntimeError("no"),
        Verdict(Action.SILENT, window_start=9),
    ]
    await bench.open("a", verdicts=verdicts, past=Past(window_start=8, decided=7, memory="older"))
    answers = [await bench.heard("a", index) for index in range(8, 12)]
    expected = [(7, "seven"), (7, "seven"), (7, "seven"), (9, "")]
    assert [(answer.window_start, answer.memory) for answer in answers] == expected


async def test_a_session_begins_again_before_what_nobody_has_followed_to_its_end(
    bench: Bench,
) -> None:
    verdicts = [
        Verdict(Action.RESPOND, respond(1).turns, window_start=0),
        *(Verdict(Action.SILENT, window_start=index) for index in range(1, 4)),
    ]
    await bench.open("a", verdicts=verdicts, speech=[done(text(1, "so"), ended(1))])
    assert [(await bench.heard("a", index)).window_start for index in range(2)] == [0, 0]
    following = bench.engine.speak("a", 1)
    assert [await anext(following), await anext(following)] == [text(1, "so"), ended(1)]
    assert (await bench.heard("a", 2)).window_start == 0  # it may be lost on its way
    with pytest.raises(StopAsyncIteration):
        await anext(following)
    assert (await bench.heard("a", 3)).window_start == 3


async def test_a_chunk_before_the_window_is_covered_by_what_was_decided(bench: Bench) -> None:
    await bench.open("a", past=PAST)
    answer = await bench.heard("a", 5)
    assert (answer.decision.index, answer.decision.turns) == (13, ())
    assert (answer.window_start, bench.decoder.batches("listen")) == (10, [])


# Turns found again


async def test_an_open_turn_goes_on_under_its_number_from_its_first_piece(bench: Bench) -> None:
    await bench.open(
        "a",
        verdicts=[SILENT, SILENT, respond(9), SILENT, respond(9)],
        speech=[done(text(9, "so")), done(text(9, " far", 1), ended(9))],
        past=Past((), (OPEN,), 10, 13),
    )
    following = asyncio.create_task(bench.pieces("a", 4))  # before it is found
    assert await heard_from(bench, 10, 14) == [(), (), (4,), (), (4,)]
    pieces = [text(4, "so"), text(4, " far", 1), ended(4)]
    assert await asyncio.wait_for(following, DEADLINE_S) == pieces
    assert await bench.pieces("a", 4) == pieces


async def test_a_finished_turn_is_mute(bench: Bench) -> None:
    await bench.open(
        "a",
        verdicts=[SILENT, respond(4), SILENT, SILENT, respond(4), respond(5)],
        speech=[done(text(4, "done")), done(ended(4)), done(text(5, "new"), ended(5))],
        past=Past((FINISHED,), (), 10, 13),
    )
    assert await heard_from(bench, 10, 15) == [(), (), (), (), (), (5,)]
    for turn in (3, 4):
        with pytest.raises(EngineError):
            await bench.pieces("a", turn)
    assert await bench.pieces("a", 5) == [text(5, "new"), ended(5)]


async def test_turns_that_go_on_side_by_side_are_told_apart_by_kind_and_place(
    bench: Bench,
) -> None:
    past = Past(
        (PastTurn(3, Kind.COUNT, "One.", 10), PastTurn(5, Kind.COUNT, "Two.", 12)),
        (OpenTurn(2, Kind.TRANSCRIPT, 10), OpenTurn(6, Kind.COUNT, 13)),
        window_start=9,
        decided=14,
    )
    await bench.open(
        "a",
        verdicts=[
            SILENT,
            names((6, Kind.TRANSCRIPT), (7, Kind.COUNT)),
            SILENT,
            names((8, Kind.COUNT)),
            names((9, Kind.COUNT)),
        ],
        speech=[
            done(text(6, "Hello"), text(7, "One."), ended(7)),
            done(text(8, "Two."), ended(8)),
            done(text(9, "Three."), ended(9), ended(6)),
        ],
        past=past,
    )
    assert await heard_from(bench, 9, 14) == [(), (2,), (), (), (6,), ()]
    assert await bench.pieces("a", 2) == [text(2, "Hello"), ended(2)]
    assert await bench.pieces("a", 6) == [text(6, "Three."), ended(6)]


async def test_a_turn_too_far_from_any_known_one_is_new_and_named_after_the_replay(
    bench: Bench,
) -> None:
    past = Past((PastTurn(3, Kind.NOTICE, "done", 4),), (), window_start=8, decided=11)
    await bench.open(
        "a",
        verdicts=[SILENT, SILENT, respond(4), respond(4), SILENT],
        speech=[done(text(4, "found ")), done(text(4, "late", 1), ended(4))],
        past=past,
    )
    assert await heard_from(bench, 8, 12) == [(), (), (), (), (4,)]
    assert await bench.pieces("a", 4) == [text(4, "found "), text(4, "late", 1), ended(4)]


async def test_new_turns_get_numbers_above_all_that_callers_know(bench: Bench) -> None:
    past = Past((FINISHED,), (OpenTurn(8, Kind.NOTICE, 12),), window_start=12, decided=12)
    await bench.open(
        "a",
        verdicts=[respond(4), respond(4, 5), respond(6)],
        speech=[done(), done(text(5, "new"), ended(5), ended(4)), done(ended(6))],
        past=past,
    )
    assert await heard_from(bench, 12, 14) == [(8,), (8, 9), (10,)]
    assert await bench.pieces("a", 9) == [text(9, "new"), ended(9)]
    assert await bench.pieces("a", 8) == [ended(8)]
    assert await bench.pieces("a", 10) == [ended(10)]


# Turns that are not found


async def test_an_open_turn_that_is_not_found_ends_as_an_error(bench: Bench) -> None:
    await bench.open("a", past=PAST)
    following = asyncio.create_task(bench.pieces("a", 4))
    await heard_from(bench, 10, 12)
    assert not following.done()
    await heard_from(bench, 13, 13)
    [piece] = await asyncio.wait_for(following, DEADLINE_S)
    assert piece.ended is ERROR


async def test_it_ends_at_once_where_nothing_is_replayed(bench: Bench) -> None:
    await bench.open("a", past=Past((), (OPEN,), window_start=14, decided=13))
    assert [piece.ended for piece in await bench.pieces("a", 4)] == [ERROR]


async def test_a_replay_that_fails_ends_what_was_open(bench: Bench) -> None:
    await bench.open("a", verdicts=[RuntimeError("no")], past=PAST)
    await bench.heard("a", 10)
    assert [piece.ended for piece in await bench.pieces("a", 4)] == [ERROR]
    assert (await bench.heard("a", 11)).decision.index == 11


async def test_closing_during_the_replay_ends_what_was_open_as_cancelled(bench: Bench) -> None:
    await bench.open("a", past=PAST)
    following = asyncio.create_task(bench.pieces("a", 4))
    await bench.heard("a", 10)
    await bench.engine.close("a")
    assert [piece.ended for piece in await asyncio.wait_for(following, DEADLINE_S)] == [CANCELLED]


# Cancelling


async def test_cancelling_reaches_the_decoder_under_its_own_number(bench: Bench) -> None:
    await bench.open(
        "a",
        verdicts=[SILENT, SILENT, respond(9)],
        speech=[says(text(9, "so"), then=Speaking.WAITING)],
        past=Past((), (OPEN,), 10, 13),
    )
    await heard_from(bench, 10, 12)
    await bench.logged("speak", 1)
    await bench.engine.cancel("a", 4)
    assert bench.decoder.batches("cancel") == [9]
    assert await bench.pieces("a", 4) == [text(4, "so"), ended(4, CANCELLED)]


async def test_a_turn_cancelled_before_it_is_found_ends_and_is_mute(bench: Bench) -> None:
    await bench.open(
        "a",
        verdicts=[SILENT, SILENT, respond(9)],
        speech=[done(text(9, "so"), ended(9))],
        past=Past((), (OPEN,), 10, 12),
    )
    await bench.engine.cancel("a", 4)
    assert [piece.ended for piece in await bench.pieces("a", 4)] == [CANCELLED]
    assert await heard_from(bench, 10, 13) == [(), (), (), ()]
    assert [piece.ended for piece in await bench.pieces("a", 4)] == [CANCELLED]
    assert bench.decoder.batches("cancel") == []
