"""Decisions to what the caller hears of them."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.core.events import (
    CallerEvent,
    CloseReason,
    DecisionMade,
    ErrorEvent,
    Event,
    Overran,
    ResponseEnded,
    ResponseStarted,
    ResponseText,
    SessionClosed,
)
from services.core.messages import GIVEN_UP, NO_ROOM, Closed, DecisionMessage, SessionMessage
from services.inference.local import LocalDecoderPool
from services.inference.port import ReplicaLost
from services.response.service import ResponseService
from services.state.behind import WriteBehind
from services.state.memory import MemorySessionStore
from services.state.port import KEPT_TURNS, SessionRecord
from services.transport.memory import MemoryTopic
from services.transport.port import Delivered
from soundflow.engine_session import EngineError
from soundflow.interaction import (
    Action,
    Decision,
    EndReason,
    Kind,
    OpenTurn,
    Overrun,
    PastTurn,
    Piece,
    SessionSpec,
    TurnStart,
)
from tests.waiting import until

SILENT = Action.SILENT
ENDED = Piece(1, 9, ended=EndReason.COMPLETE)


class ScriptedTurns:
    """The decoder's side: what each turn says. A turn without a script is not open."""

    def __init__(self) -> None:
        self.pieces: dict[tuple[str, int], Sequence[Piece]] = {}
        self.followed: list[tuple[str, int]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.lost_after: int | None = None  # so many pieces, once

    async def speak(self, session_id: str, turn: int) -> AsyncIterator[Piece]:
        self.followed.append((session_id, turn))
        if (session_id, turn) not in self.pieces:
            raise EngineError("no such turn")
        for piece in self.pieces[session_id, turn]:
            if self.lost_after == 0:
                self.lost_after = None
                raise ReplicaLost("local", "for the test")
            if self.lost_after:
                self.lost_after -= 1
            await self.go_on.wait()
            yield piece


@dataclass
class Line:
    """The way to the callers: keeps what each was told. Fails for a session named `unlucky`."""

    events: dict[str, list[Event]] = field(default_factory=dict)
    previous: list[tuple[int, int]] = field(default_factory=list)

    async def deliver(self, events: Sequence[Delivered]) -> None:
        for delivered in events:
            told = delivered.told
            self.previous.append((told.id, delivered.previous))
            if told.session_id == "unlucky" and isinstance(told.event, DecisionMade):
                raise ValueError("the line is broken")
            self.events.setdefault(told.session_id, []).append(told.event)


@dataclass
class Rig:
    service: ResponseService
    decisions: MemoryTopic[DecisionMessage]
    sessions: MemoryTopic[SessionMessage]
    store: MemorySessionStore
    turns: ScriptedTurns
    delivered: Line
    responses: MemoryTopic[CallerEvent]

    async def open(self, session_id: str) -> None:
        await self.store.create(SessionRecord(session_id, SessionSpec(), 0))

    async def decide(self, session_id: str, index: int, *turns: int, **fields: Any) -> None:
        action = Action.RESPOND if turns else Action.SILENT
        starts = tuple(TurnStart(turn, Kind.ANSWER) for turn in turns)
        decision = Decision(session_id, index, action, starts)
        await self.decisions.send(DecisionMessage(decision, 1_000_000, 1_250_000, **fields))

    async def told(self, session_id: str, count: int) -> list[Event]:
        """Wait until the caller was told so much."""
        events = self.delivered.events.setdefault(session_id, [])
        await until(lambda: len(events) >= count)
        assert len(events) == count
        return events


@asynccontextmanager
async def running() -> AsyncIterator[Rig]:
    decisions = MemoryTopic[DecisionMessage](groups=["response"])
    sessions = MemoryTopic[SessionMessage](groups=["response"])
    responses = MemoryTopic[CallerEvent](kept=100)
    store, turns, delivered = MemorySessionStore(), ScriptedTurns(), Line()
    decoder: Any = turns
    service = ResponseService(
        decisions,
        sessions,
        responses,
        store,
        WriteBehind(store),
        LocalDecoderPool(decoder),
        delivered,
    )
    task = asyncio.create_task(service.run())
    try:
        yield Rig(service, decisions, sessions, store, turns, delivered, responses)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running() as rig:
        yield rig


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


async def test_what_fails_for_one_session_does_not_reach_the_others(rig: Rig) -> None:
    for name in ("unlucky", "b"):
        await rig.open(name)
        await rig.decide(name, 0)
    events = await rig.told("b", 1)
    assert isinstance(events[0], DecisionMade)
