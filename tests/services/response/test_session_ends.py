"""How sessions end for their callers, and what is forgotten then."""

import asyncio
import dataclasses

import pytest

from services.core.events import CloseReason, DecisionMade, ErrorEvent, SessionClosed
from services.core.messages import GIVEN_UP, NO_ROOM, Closed, SessionMessage
from soundflow.interaction import Action, Piece
from tests.services.response.rig import ENDED, Rig
from tests.waiting import until

SILENT = Action.SILENT


async def test_the_session_closes_once_all_is_said(rig: Rig) -> None:
    await rig.open("a")
    rig.turns.go_on.clear()
    rig.turns.pieces["a", 1] = [Piece(1, 0, "bye"), ENDED]
    await rig.decide("a", 6, 1, last=True)
    await rig.told("a", 2)
    rig.turns.go_on.set()
    events = await rig.told("a", 5)
    assert events[-1] == SessionClosed(CloseReason.COMPLETE, chunks=7, turns=1)


async def test_a_turn_whose_session_was_closed_meanwhile_ends_quietly(rig: Rig) -> None:
    await rig.open("a")
    await rig.decide("a", 0, 1)
    await rig.told("a", 2)
    await rig.store.update("a", lambda old: dataclasses.replace(old, closed="idle"))
    await rig.decide("a", 1)
    assert [type(event) for event in await rig.told("a", 3)].count(DecisionMade) == 2
    assert not rig.store._records["a"].turns


async def test_who_closed_a_session_elsewhere_tells_its_caller(rig: Rig) -> None:
    await rig.open("a")
    for told in (True, False):
        closed = Closed("closed_by_caller", caller_told=told)
        await rig.sessions.send(SessionMessage("a", 0, closed))
    assert await rig.told("a", 1) == [SessionClosed(CloseReason.CLOSED_BY_CALLER, 0, 0)]


async def test_decisions_on_a_closed_session_are_dropped_and_nothing_is_kept(rig: Rig) -> None:
    await rig.open("a")
    await rig.decide("a", 0)
    await rig.told("a", 1)
    await rig.store.update("a", lambda old: dataclasses.replace(old, closed="idle"))
    await rig.sessions.send(SessionMessage("a", 0, Closed("idle", caller_told=True)))
    await until(lambda: not rig.service._sessions)
    await rig.decide("a", 1)
    await rig.open("b")
    await rig.decide("b", 0)
    await rig.told("b", 1)
    await rig.told("a", 1)
    assert list(rig.service._sessions) == ["b"]


async def test_a_session_that_moved_away_is_forgotten_unless_it_speaks_and_found_again(
    rig: Rig,
) -> None:
    await rig.open("a")
    rig.turns.go_on.clear()
    rig.turns.pieces["a", 1] = [Piece(1, 0, "one"), ENDED]
    await rig.decide("a", 0, 1)
    await rig.told("a", 2)
    rig.service.forget_idle(idle_s=0)
    assert list(rig.service._sessions) == ["a"]
    rig.turns.go_on.set()
    await rig.told("a", 4)
    await until(lambda: not rig.service._sessions["a"].speaking)
    rig.service.forget_idle(idle_s=60)
    assert list(rig.service._sessions) == ["a"]
    rig.service.forget_idle(idle_s=0)
    assert not rig.service._sessions
    await rig.decide("a", 1)
    assert (await rig.told("a", 5))[-1] == DecisionMade(1, 800, SILENT, 250.0)


@pytest.mark.parametrize(
    ("given_up", "code", "reason"),
    [
        (GIVEN_UP, "internal", CloseReason.ERROR),
        (NO_ROOM, "overloaded", CloseReason.OVERLOADED),
    ],
)
async def test_a_session_that_a_service_gave_up_is_closed_with_a_reason(
    rig: Rig, given_up: Closed, code: str, reason: CloseReason
) -> None:
    await rig.open("a")
    await rig.store.update("a", lambda old: dataclasses.replace(old, last_index=4))
    await rig.sessions.send(SessionMessage("a", 0, given_up))
    error, closed = await rig.told("a", 2)
    assert isinstance(error, ErrorEvent)
    assert error.code == code
    assert closed == SessionClosed(reason, chunks=5, turns=0)


async def test_a_decision_on_a_session_that_was_never_opened_is_given_up_once(rig: Rig) -> None:
    rig.sessions.add_group("test")
    given_up = rig.sessions.subscribe("test")
    await rig.decide("never-opened", 7)
    message = (await anext(given_up)).message
    assert (message.session_id, message.change) == ("never-opened", GIVEN_UP)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(given_up), 0.1)
    assert rig.delivered.events == {}
