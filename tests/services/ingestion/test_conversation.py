"""Both directions of a call, with every way in which one of them can end."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.core.errors import BadRequest, ProtocolBroken
from services.core.events import CallerEvent, CloseReason, ErrorEvent, SessionClosed
from services.ingestion.call import Call
from services.ingestion.conversation import (
    CallerGone,
    CallerLeft,
    CallerTooSlow,
    answer_faults,
    converse,
)
from services.state.port import Fenced
from soundflow.audio import AudioFormat
from soundflow.interaction import SessionSpec
from tests.services.ingestion.rig import Rig, make_rig
from tests.waiting import DEADLINE_S


@pytest.fixture
def rig() -> Rig:
    return make_rig()


@pytest.fixture
async def call(rig: Rig) -> AsyncIterator[Call]:
    async with Call(rig.service, SessionSpec(), AudioFormat(), face="test") as call:
        yield call


class Heard:
    """A caller's ear. `reads` unset: it does not take anything."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.reads = asyncio.Event()
        self.reads.set()

    async def say(self, told: CallerEvent) -> None:
        await self.reads.wait()
        self.events.append(told.event)


async def silence() -> None:
    await asyncio.Event().wait()


async def failing(error: Exception) -> None:
    raise error


async def reason(rig: Rig, call: Call) -> str:
    return (await rig.service.record(call.session_ids[0])).closed


async def test_all_is_told_to_the_end_while_the_caller_says_nothing(rig: Rig, call: Call) -> None:
    heard = Heard()
    talking = asyncio.create_task(converse(call, silence(), heard.say, read_grace_s=DEADLINE_S))
    await asyncio.sleep(0)
    await rig.tell(call.session_ids[0], SessionClosed(CloseReason.COMPLETE, 1, 0))
    assert await asyncio.wait_for(talking, DEADLINE_S) is None
    assert heard.events[-1] == SessionClosed(CloseReason.COMPLETE, 1, 0)


async def test_what_breaks_the_protocol_is_told_closes_the_call_and_is_returned(
    rig: Rig, call: Call
) -> None:
    heard, broken = Heard(), ProtocolBroken("bad_json", "no JSON")
    talking = converse(call, failing(broken), heard.say, read_grace_s=DEADLINE_S)
    assert await asyncio.wait_for(talking, DEADLINE_S) is broken
    assert heard.events[1:] == [
        ErrorEvent("bad_json", "no JSON"),
        SessionClosed(CloseReason.ERROR, 0, 0),
    ]


async def test_a_caller_that_hangs_up_closes_the_call(rig: Rig, call: Call) -> None:
    with pytest.raises(CallerLeft):
        await converse(call, failing(CallerLeft()), Heard().say, read_grace_s=DEADLINE_S)
    assert await reason(rig, call) == "client_gone"


async def test_a_caller_whose_connection_breaks_is_left_at_once_and_may_come_back(
    rig: Rig, call: Call
) -> None:
    deaf = Heard()
    deaf.reads.clear()
    with pytest.raises(CallerGone):
        await converse(call, failing(CallerGone()), deaf.say, read_grace_s=DEADLINE_S)
    assert await reason(rig, call) == ""


async def test_a_call_whose_session_goes_on_elsewhere_ends_with_the_reason(
    rig: Rig, call: Call
) -> None:
    heard = Heard()
    talking = asyncio.create_task(converse(call, silence(), heard.say, read_grace_s=DEADLINE_S))
    await rig.service.let_go(call.session_ids[0], epoch=1)
    ended = await asyncio.wait_for(talking, DEADLINE_S)
    assert isinstance(ended, Fenced)
    assert heard.events[-1] == ErrorEvent(ended.code, ended.message)
    assert await reason(rig, call) == ""


async def test_a_caller_that_cannot_be_told_anything_is_gone(rig: Rig, call: Call) -> None:
    async def say(told: CallerEvent) -> None:
        raise CallerGone

    with pytest.raises(CallerGone):
        await converse(call, silence(), say, read_grace_s=DEADLINE_S)


async def test_a_caller_that_does_not_read_the_end_is_given_up(rig: Rig, call: Call) -> None:
    deaf = Heard()
    deaf.reads.clear()
    talking = asyncio.create_task(converse(call, silence(), deaf.say, read_grace_s=0.01))
    await rig.service.close_all(CloseReason.SHUTDOWN)
    with pytest.raises(CallerTooSlow):
        await asyncio.wait_for(talking, DEADLINE_S)


async def test_a_fault_of_ours_does_not_leave_the_caller_waiting(rig: Rig, call: Call) -> None:
    heard = Heard()
    with pytest.raises(ZeroDivisionError):
        await converse(call, failing(ZeroDivisionError()), heard.say, read_grace_s=DEADLINE_S)
    assert heard.events[-1] == SessionClosed(CloseReason.ERROR, 0, 0)


async def test_what_is_wrong_with_one_request_is_told_and_no_more(rig: Rig, call: Call) -> None:
    heard = Heard()
    await answer_faults(call, failing(BadRequest("bad_samples", "no number")))
    await rig.service.close_all(CloseReason.CLOSED_BY_CALLER)
    await converse(call, silence(), heard.say, read_grace_s=DEADLINE_S)
    assert ErrorEvent("bad_samples", "no number") in heard.events
    with pytest.raises(ProtocolBroken):
        await answer_faults(call, failing(ProtocolBroken("bad_json", "no JSON")))
