"""Decisions to what the caller hears of them."""

import dataclasses

import pytest
from prometheus_client import REGISTRY

from services.core.errors import Unavailable
from services.core.events import (
    CallerEvent,
    DecisionMade,
    Overran,
    ResponseEnded,
    ResponseStarted,
    ResponseText,
)
from services.response import speech
from services.state.port import KEPT_TURNS
from services.transport.memory import MemoryTopic
from soundflow.interaction import Action, EndReason, Kind, OpenTurn, Overrun, PastTurn, Piece
from tests.services.response.rig import ENDED, Rig, running
from tests.waiting import until

SILENT = Action.SILENT


async def test_a_silent_decision_is_told_with_its_place_and_latency(rig: Rig) -> None:
    await rig.open("a")
    await rig.decide("a", 4)
    assert await rig.told("a", 1) == [DecisionMade(4, 2000, SILENT, 250.0)]


async def test_a_turn_is_told_from_start_to_end_and_kept(rig: Rig) -> None:
    await rig.open("a")
    rig.turns.pieces["a", 1] = [
        Piece(1, 0, " It is", final=False),
        Piece(1, 0, " It's"),
        Piece(1, 1, " late."),
        ENDED,
    ]
    await rig.decide("a", 0, 1)
    assert (await rig.told("a", 6))[1:] == [
        ResponseStarted(1, 0, Kind.ANSWER),
        ResponseText(1, 0, " It is", final=False),
        ResponseText(1, 0, " It's", final=True),
        ResponseText(1, 1, " late.", final=True),
        ResponseEnded(1, EndReason.COMPLETE),
    ]
    kept = (PastTurn(1, Kind.ANSWER, "It's late."),)
    await until(lambda: rig.store._records["a"].turns == kept)


async def test_only_the_last_turns_are_kept(rig: Rig) -> None:
    await rig.open("a")
    for turn in range(1, KEPT_TURNS + 3):
        rig.turns.pieces["a", turn] = [Piece(turn, 9, ended=EndReason.COMPLETE)]
        await rig.decide("a", turn, turn)
    await until(
        lambda: (
            [past.turn for past in rig.store._records["a"].turns] == list(range(3, KEPT_TURNS + 3))
        )
    )


async def test_a_turn_that_is_named_again_is_followed_once(rig: Rig) -> None:
    await rig.open("a")
    rig.turns.go_on.clear()
    rig.turns.pieces["a", 1] = [Piece(1, 0, "one"), ENDED]
    for index in range(3):
        await rig.decide("a", index, 1)
    await rig.told("a", 4)  # three decisions and one start
    rig.turns.go_on.set()
    await rig.told("a", 6)
    assert rig.turns.followed == [("a", 1)]


async def test_dropped_chunks_are_told_before_the_decision_after_them(rig: Rig) -> None:
    await rig.open("a")
    await rig.decide("a", 9, dropped=Overrun(2, 4))
    assert await rig.told("a", 2) == [
        Overran(800, 2000, 3),
        DecisionMade(9, 4000, SILENT, 250.0),
    ]


async def test_a_turn_whose_decoder_was_lost_is_said_once_and_to_its_end(rig: Rig) -> None:
    await rig.open("a")
    rig.turns.lost_after = 2
    rig.turns.pieces["a", 1] = [
        Piece(1, 0, " It's"),
        Piece(1, 1, " very", final=False),
        Piece(1, 1, " late."),
        ENDED,
    ]
    await rig.decide("a", 0, 1)
    assert (await rig.told("a", 7))[2:] == [
        ResponseText(1, 0, " It's", final=True),
        ResponseText(1, 1, " very", final=False),
        ResponseText(1, 1, " very", final=False),
        ResponseText(1, 1, " late.", final=True),
        ResponseEnded(1, EndReason.COMPLETE),
    ]
    assert rig.turns.followed == [("a", 1), ("a", 1)]


async def test_a_turn_that_no_decoder_says_ends_with_an_error(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "_PLACED_WITHIN_S", 0.05)
    monkeypatch.setattr(speech, "_LOOK_AGAIN_S", 0.01)
    await rig.open("a")
    await rig.decide("a", 0, 1)
    assert (await rig.told("a", 3))[2] == ResponseEnded(1, EndReason.ERROR)
    await until(lambda: rig.store._records["a"].turns == (PastTurn(1, Kind.ANSWER, ""),))
    assert len(rig.turns.followed) > 1


class BusyTopic(MemoryTopic[CallerEvent]):
    """A record that takes every second attempt."""

    attempts = 0

    async def send(self, message: CallerEvent) -> int:
        self.attempts += 1
        if self.attempts % 2:
            raise Unavailable("topic_away", "for the test")
        return await super().send(message)


async def test_a_turn_is_told_and_counted_once_however_often_the_record_is_away() -> None:
    def counted() -> list[float]:
        samples = {
            "turns_started_total": {"kind": "answer"},
            "first_text_seconds_count": {"kind": "answer"},
            "turns_ended_total": {"reason": "complete"},
        }
        return [
            REGISTRY.get_sample_value(f"soundflow_{name}", labels) or 0
            for name, labels in samples.items()
        ]

    responses = BusyTopic(kept=100)
    async with running(responses) as rig:
        await rig.open("a")
        rig.turns.pieces["a", 1] = [Piece(1, 0, "one"), ENDED]
        before = counted()
        await rig.decide("a", 0, 1)
        await rig.told("a", 4)
        await until(lambda: bool(rig.store._records["a"].turns))
    assert responses.attempts == 8
    assert counted() == [times + 1 for times in before]


async def test_every_event_is_recorded_first_and_names_the_one_before(rig: Rig) -> None:
    await rig.open("a")
    rig.turns.pieces["a", 1] = [Piece(1, 0, "one"), ENDED]
    await rig.decide("a", 0, 1)
    told = await rig.told("a", 4)
    kept = [kept async for kept in rig.responses.read("a", 0)]
    assert [one.message.event for one in kept] == told
    positions = [one.position for one in kept]
    assert rig.delivered.previous == list(zip(positions, [0, *positions], strict=False))


async def test_a_replica_that_takes_over_does_not_say_again_what_is_finished(rig: Rig) -> None:
    await rig.open("a")
    finished = PastTurn(1, Kind.ANSWER, "one", chunk=0)
    open_turn = OpenTurn(2, Kind.ANSWER, chunk=1)
    await rig.store.update(
        "a", lambda old: dataclasses.replace(old, turns=(finished,), open_turns=(open_turn,))
    )
    rig.turns.pieces["a", 2] = [Piece(2, 0, "two"), Piece(2, 9, ended=EndReason.COMPLETE)]
    await rig.decide("a", 0, 1)
    await rig.decide("a", 1, 2)
    await rig.told("a", 5)
    assert rig.turns.followed == [("a", 2)]
    await until(lambda: [past.text for past in rig.store._records["a"].turns] == ["one", "two"])
    assert not rig.store._records["a"].open_turns


async def test_what_fails_for_one_session_does_not_reach_the_others(rig: Rig) -> None:
    for name in ("unlucky", "b"):
        await rig.open(name)
        await rig.decide(name, 0)
    events = await rig.told("b", 1)
    assert isinstance(events[0], DecisionMade)
