"""Sessions whose caller is away: for how long they are kept, and what may happen meanwhile."""

import asyncio

from services.core.events import CloseReason, SessionClosed, SessionResumed
from services.core.messages import Closed
from services.ingestion.call import Call
from services.ingestion.resuming import Claim
from soundflow.audio import AudioFormat
from tests.services.ingestion.caller import Caller
from tests.services.ingestion.rig import decision, make_rig, play
from tests.waiting import DEADLINE_S, until


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


async def test_a_caller_that_is_gone_again_before_it_read_what_it_missed_leaves_no_work() -> None:
    rig = make_rig(outbox_events=10)
    caller = await Caller("a").call(rig)
    for index in range(20):
        await rig.record("a", decision(index))
    claim = Claim("a", caller.tokens["a"])
    async with Call(rig.service, [claim], AudioFormat(), face="test") as call:
        await until(lambda: len(call.events._events) > 5)  # half of what may wait
    await until(lambda: not rig.service._background._tasks)
