"""A session that moves from one connection or replica to the next: who lets go, and who has it."""

import asyncio

import pytest

from services.core.errors import HandedOver, SessionUnknown, Unavailable
from services.core.events import CloseReason, ErrorEvent, SessionClosed
from services.core.messages import Closed
from services.ingestion.live import LiveSession
from services.ingestion.outbox import Outbox
from services.state.port import Fenced
from soundflow.interaction import SessionSpec
from tests.services.ingestion.caller import Caller
from tests.services.ingestion.rig import make_rig, play, replica_of, unread
from tests.waiting import DEADLINE_S, until

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


async def test_a_return_that_is_broken_off_keeps_its_session_no_longer_than_a_lost_call() -> None:
    rig = replica_of(make_rig(), "first")
    caller = await Caller("a").call(rig)

    class Holders:
        async def let_go(self, address: str, session_id: str, epoch: int) -> None:
            await asyncio.Event().wait()  # it died, and nobody answers

    second = replica_of(rig, "second", Holders())
    returning = asyncio.create_task(caller.back(second))
    await until(lambda: second.service.holds("a"))
    returning.cancel()
    await asyncio.wait([returning])
    await until(lambda: not second.service.holds("a"))
    assert (await rig.store.get("a")).closed == "client_gone"


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
