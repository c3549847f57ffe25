"""Callers who come back, to this replica or to another of the same platform."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.core.errors import BadRequest, HandedOver, SessionUnknown, ShuttingDown, Unavailable
from services.core.events import (
    CallerEvent,
    CloseReason,
    DecisionMade,
    ErrorEvent,
    Event,
    ResponseEnded,
    ResponseStarted,
    ResponseText,
    SessionClosed,
    SessionResumed,
)
from services.core.messages import Closed
from services.ingestion.live import LiveSession
from services.ingestion.outbox import Outbox
from services.ingestion.resuming import Claim
from services.state.port import Fenced
from services.transport.port import Kept
from soundflow.interaction import Action, EndReason, Kind, SessionSpec
from tests.services.ingestion.caller import Caller, chunk
from tests.services.ingestion.rig import Rig, make_rig, replica_of, unread
from tests.waiting import DEADLINE_S, until


def decision(chunk: int) -> DecisionMade:
    return DecisionMade(chunk, (chunk + 1) * 400, Action.SILENT, 1.0)


async def play(rig: Rig, session_id: str, *events: Event) -> None:
    """Play response: record each event, deliver it."""
    for event in events:
        await rig.service.deliver([await rig.record(session_id, event)])


async def lose(rig: Rig, *events: Event) -> None:
    """Play response while nobody can be reached: record only."""
    for event in events:
        await rig.record("a", event)


@pytest.fixture(params=["the same replica", "another replica"])
async def back_at(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Rig, Rig]]:
    """Return where a caller was, and where it comes back to."""
    rig = make_rig(resume_within_s=DEADLINE_S)
    yield rig, rig if request.param == "the same replica" else replica_of(rig, "other")


Both = tuple[Rig, Rig]


async def test_what_was_missed_is_told_after_the_return_and_then_what_comes(back_at: Both) -> None:
    rig, other = back_at
    caller = await Caller("a").call(rig)
    await play(rig, "a", decision(0), decision(1))
    caller.take()
    await rig.service.keep(caller.sessions) if rig is not other else None
    await lose(rig, decision(2), ResponseStarted(1, 2, Kind.ANSWER))
    await caller.back(other)
    await play(other, "a", decision(3))
    await until(
        caller.waits_for(
            SessionResumed("a", "small", 0),
            decision(2),
            ResponseStarted(1, 2, Kind.ANSWER),
            decision(3),
        )
    )
    caller.take()
    ids = [told.id for told in caller.read if told.id]
    assert ids == sorted(set(ids))


async def test_a_caller_that_saw_nothing_is_told_all(back_at: Both) -> None:
    rig, other = back_at
    caller = await Caller("a").call(rig)
    await play(rig, "a", decision(0), decision(1))
    await caller.back(other, last_event_id=0)
    resumed = SessionResumed("a", "small", 0)
    await until(caller.waits_for(resumed, decision(0), decision(1)))


async def test_what_is_said_again_after_the_return_is_known(back_at: Both) -> None:
    rig, other = back_at
    caller = await Caller("a").call(rig)
    said: list[Event] = [ResponseStarted(1, 0, Kind.ANSWER), ResponseText(1, 0, "yes", final=True)]
    await play(rig, "a", decision(0), *said)
    caller.take()
    await caller.back(other)
    ended = ResponseEnded(1, EndReason.COMPLETE)
    await play(other, "a", decision(0), *said, ended)
    await until(caller.waits_for(SessionResumed("a", "small", 0), ended))


async def test_audio_goes_on_after_the_newest_chunk_that_was_sent(back_at: Both) -> None:
    rig, other = back_at
    caller = await Caller("a").call(rig)
    for index in range(3):
        await rig.service.send(caller.sessions[0], chunk("a", index))
    resumed = await caller.back(other)
    assert (resumed.audio.chunk, resumed.audio.ended) == (3, False)
    assert unread(caller.outbox) == [SessionResumed("a", "small", 3)]
    await other.service.close("a", CloseReason.CLOSED_BY_CALLER)
    closed = SessionClosed(CloseReason.CLOSED_BY_CALLER, chunks=3, turns=0)
    assert unread(caller.outbox)[-1] == closed


async def test_audio_that_ended_takes_no_more(back_at: Both) -> None:
    rig, other = back_at
    caller = await Caller("a").call(rig)
    await rig.service.send(caller.sessions[0], chunk("a", 0, last=True))
    resumed = await caller.back(other)
    assert (resumed.audio.chunk, resumed.audio.ended) == (1, True)


async def test_without_a_trace_of_audio_the_record_says_where_it_goes_on() -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    await rig.store.update("a", lambda record: dataclasses.replace(record, last_index=41))
    resumed = await caller.back(replica_of(rig, "other"))
    assert resumed.audio.chunk == 42


async def test_a_chunk_on_its_way_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = make_rig(resume_within_s=DEADLINE_S)
    caller = await Caller("a").call(rig)
    arrives = asyncio.Event()
    send = rig.audio.send

    async def send_slowly(message: Any) -> int:
        await arrives.wait()
        return await send(message)

    monkeypatch.setattr(rig.audio, "send", send_slowly)
    sending = asyncio.create_task(rig.service.send(caller.sessions[0], chunk("a", 0)))
    await asyncio.sleep(0)
    sending.cancel()  # the connection is gone, the chunk is not
    returning = asyncio.create_task(caller.back(rig))
    await asyncio.sleep(0.01)
    assert not returning.done()
    arrives.set()
    assert (await asyncio.wait_for(returning, DEADLINE_S)).audio.chunk == 1
    assert rig.chunks("a") == [0]


async def test_channels_go_on_together_where_the_last_of_them_was(back_at: Both) -> None:
    rig, other = back_at
    caller = await Caller("left", "right").call(rig)
    for index in range(3):
        await rig.service.send(caller.sessions[0], chunk("left", index))
    await rig.service.send(caller.sessions[1], chunk("right", 0))
    await play(rig, "right", decision(0))
    resumed = await caller.back(other)
    assert resumed.audio.chunk == 1
    assert [session.channel for session in resumed.sessions] == [0, 1]
    await until(lambda: len(caller.outbox._events) == 3)
    caller.take()
    assert [(told.session_id, told.channel) for told in caller.read[-3:]] == [
        ("left", 0),
        ("right", 1),
        ("right", 1),
    ]


async def test_a_session_that_ended_meanwhile_tells_the_rest_and_the_end(back_at: Both) -> None:
    rig, other = back_at
    caller = await Caller("a").call(rig)
    await play(rig, "a", decision(0))
    caller.take()
    await lose(rig, decision(1))
    await rig.service.close("a", CloseReason.IDLE)
    [session] = (await caller.back(other)).sessions
    closed = SessionClosed(CloseReason.IDLE, 0, 0)
    await until(caller.waits_for(SessionResumed("a", "small", 0), decision(1), closed))
    assert session.ended.is_set()
    assert other.service.open_sessions == 0


async def test_the_recorded_end_is_the_one_that_is_told() -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    closed = SessionClosed(CloseReason.COMPLETE, chunks=7, turns=2)
    await play(rig, "a", closed)
    await until(lambda: bool(rig.changes("a")[1:]))
    await caller.back(rig)
    await until(caller.waits_for(SessionResumed("a", "small", 0), closed))


async def test_what_was_recorded_long_ago_is_read_for_a_caller_that_missed_it() -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    asked: list[int] = []

    async def read(session_id: str, since_unix_us: int) -> AsyncIterator[Kept[CallerEvent]]:
        """Have the first ten events be older than what is looked at first."""
        asked.append(since_unix_us)
        for kept in await rig.recorded(session_id):
            if len(asked) > 1 or kept.position > 10:
                yield kept

    rig.service._delivering = dataclasses.replace(
        rig.service._delivering, record=type("Record", (), {"read": staticmethod(read)})()
    )
    await lose(rig, *map(decision, range(20)))
    await caller.back(rig, last_event_id=5)
    resumed = SessionResumed("a", "small", 0)
    await until(caller.waits_for(resumed, *map(decision, range(5, 20))))
    assert len(asked) == 2


# Who may not


@pytest.mark.parametrize("token", ["", "x", "é"])
async def test_another_token_is_refused_and_changes_nothing(token: str) -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    with pytest.raises(BadRequest) as refused:
        await rig.service.resume([Claim("a", token)], Outbox(capacity=10, sessions=1))
    assert refused.value.code == "bad_token"
    assert rig.service.holds("a")
    await play(rig, "a", decision(0))
    assert unread(caller.outbox) == [decision(0)]


async def test_one_wrong_token_of_two_takes_neither() -> None:
    rig = make_rig()
    caller = await Caller("left", "right").call(rig)
    claims = [Claim("left", caller.tokens["left"]), Claim("right", caller.tokens["left"])]
    with pytest.raises(BadRequest):
        await rig.service.resume(claims, Outbox(capacity=10, sessions=2))
    assert [session.ended.is_set() for session in caller.sessions] == [False, False]


async def test_the_record_does_not_hold_the_token() -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    assert caller.tokens["a"] not in repr(await rig.store.get("a"))


async def test_a_session_that_never_was_is_unknown() -> None:
    with pytest.raises(SessionUnknown):
        await make_rig().service.resume([Claim("a", "x")], Outbox(capacity=10, sessions=1))


async def test_a_replica_that_drains_takes_nobody_back() -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    rig.service.drain()
    with pytest.raises(ShuttingDown):
        await caller.back(rig)
    await caller.back(replica_of(rig, "other"))


# Who had it before


async def test_the_connection_before_is_told_and_ends() -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    before, [session] = caller.outbox, caller.sessions
    await caller.back(rig)
    async with asyncio.timeout(DEADLINE_S):
        told = [told.event async for told in before]
    moved = Fenced("a")
    assert told == [ErrorEvent(moved.code, moved.message)]
    assert isinstance(session.let_go, Fenced)
    assert rig.service.open_sessions == 1
    assert rig.changes("a")[1:] == []  # for the other services nothing happened


async def test_the_replica_before_is_asked_to_let_go() -> None:
    rig = replica_of(make_rig(), "first")
    caller = await Caller("a").call(rig)
    asked = []

    class Holders:
        async def let_go(self, address: str, session_id: str, epoch: int) -> None:
            asked.append((address, session_id, epoch))
            await rig.service.let_go(session_id, epoch)

    second = replica_of(rig, "second", Holders())
    await caller.back(second)
    assert asked == [("first", "a", 1)]
    assert (rig.service.open_sessions, second.service.open_sessions) == (0, 1)
    assert (await rig.store.get("a")).owner == "second"


async def test_a_replica_before_that_does_not_answer_holds_up_nobody() -> None:
    rig = replica_of(make_rig(), "first")
    caller = await Caller("a").call(rig)

    class Holders:
        async def let_go(self, address: str, session_id: str, epoch: int) -> None:
            raise Unavailable("holder_unavailable", "gone")

    await caller.back(replica_of(rig, "second", Holders()))


async def test_the_later_of_two_returns_wins_wherever_they_are() -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    first, second = replica_of(rig, "first"), replica_of(rig, "second")
    await asyncio.gather(caller.back(first), caller.back(second))
    owner = (await rig.store.get("a")).owner
    for replica in (rig, first, second):
        for session_id in await rig.store.renew(replica.service._held.epochs()):
            await replica.service._held.check(session_id)
    holders = [replica for replica in (first, second) if replica.service.holds("a")]
    assert [holder.service.address for holder in holders] == [owner]


async def test_a_return_that_was_overtaken_does_not_take_the_session() -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    await caller.back(rig)
    [newer] = rig.service._held.all()
    with pytest.raises(Fenced):
        rig.service._held.add(LiveSession("a", caller.outbox, epoch=newer.epoch - 1))
    assert rig.service._held.all() == [newer]
    assert not newer.ended.is_set()


async def test_an_older_order_to_let_go_is_not_followed() -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    await caller.back(rig)
    await rig.service.let_go("a", epoch=1)
    assert rig.service.holds("a")
    await rig.service.let_go("a", epoch=2)
    assert not rig.service.holds("a")


# Callers whose connection broke


async def test_a_caller_that_stays_away_is_closed() -> None:
    rig = make_rig(resume_within_s=0.05)
    caller = await Caller("a").call(rig)
    await rig.service.keep(caller.sessions)
    assert rig.service.holds("a")
    await until(lambda: not rig.service.holds("a"))
    await until(lambda: rig.changes("a")[1:] == [Closed("client_gone", caller_told=False)])
    assert (await rig.store.get("a")).closed == "client_gone"


async def test_a_caller_that_is_back_in_time_is_not_closed() -> None:
    rig = make_rig(resume_within_s=0.05)
    caller = await Caller("a").call(rig)
    await rig.service.keep(caller.sessions)
    await caller.back(rig)
    await asyncio.sleep(0.15)
    assert rig.service.holds("a")


async def test_a_session_may_end_while_its_caller_is_away() -> None:
    rig = make_rig(resume_within_s=DEADLINE_S)
    caller = await Caller("a").call(rig)
    caller.take()
    await rig.service.keep(caller.sessions)
    closed = SessionClosed(CloseReason.COMPLETE, 3, 0)
    await play(rig, "a", decision(2), closed)
    assert not rig.service.holds("a")
    await until(lambda: bool(rig.changes("a")[1:]))
    await caller.back(rig)
    await until(caller.waits_for(SessionResumed("a", "small", 0), decision(2), closed))


async def test_a_full_replica_still_lets_back_in_who_was_here() -> None:
    rig = make_rig(max_sessions=1, resume_within_s=DEADLINE_S)
    caller = await Caller("a").call(rig)
    await rig.service.keep(caller.sessions)
    rig.service.check_entry()
    await caller.back(rig)
    assert rig.service.open_sessions == 1


# A replica that stops


async def test_handing_over_ends_connections_and_no_session() -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    outbox, [session] = caller.outbox, caller.sessions
    await rig.service.hand_over()
    async with asyncio.timeout(DEADLINE_S):
        assert [told async for told in outbox] == []
    assert isinstance(session.let_go, HandedOver)
    assert (await rig.store.get("a")).closed == ""
    assert rig.changes("a")[1:] == []
    await caller.back(replica_of(rig, "other"))


async def test_what_cannot_be_resumed_is_closed_when_the_replica_stops() -> None:
    rig = make_rig()
    outbox = Outbox(capacity=10, sessions=1)
    await rig.service.open(SessionSpec(), ["task"], outbox, face="task", resumable=False)
    await rig.service.hand_over()
    assert unread(outbox)[-1] == SessionClosed(CloseReason.SHUTDOWN, 0, 0)


# On any replica


async def test_a_session_held_elsewhere_can_be_closed_and_its_caller_is_told_by_response() -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    caller.take()
    other = replica_of(rig, "other")
    await other.service.close("a", CloseReason.CLOSED_BY_CALLER)
    assert (await rig.store.get("a")).closed == "closed_by_caller"
    assert rig.changes("a")[1:] == [Closed("closed_by_caller", caller_told=False)]
    told = SessionClosed(CloseReason.CLOSED_BY_CALLER, 0, 0)
    await play(rig, "a", told)  # which is what response does then
    await until(caller.waits_for(told))
    with pytest.raises(SessionUnknown):
        await other.service.close("a", CloseReason.CLOSED_BY_CALLER)
    assert len(rig.changes("a")) == 2  # it is not announced again
