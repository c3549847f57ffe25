"""Callers whose connection breaks, and who come back: nothing lost, nothing twice."""

import pytest
from aiohttp import WSCloseCode

from services.core.events import DecisionMade
from tests.end_to_end.platform import Running, neighbour, running
from tests.end_to_end.resume.caller import PATIENT, Caller
from tests.waiting import until


@pytest.mark.parametrize("channels", [1, 2], ids=["mono", "split stereo"])
@pytest.mark.parametrize("how", ["cut", "go_dead"])
async def test_a_caller_that_is_cut_off_again_and_again_loses_nothing(
    how: str, channels: int
) -> None:
    async with running(**PATIENT, ping_interval_s=5) as served, neighbour(served):
        caller = Caller(served, chunks=40, channels=channels)
        for pieces in (3.3, 5, 7.8, 0.2, 0, 9.1):
            async with caller.connected() as (stream, wire):
                await caller.speak(stream, chunks=pieces)
                getattr(wire, how)()
        async with caller.connected() as (stream, _):
            await caller.finish(stream)
        await caller.check()
        assert caller.resumed_at == sorted(caller.resumed_at)
        assert caller.resumed_at[-1] >= 3


async def test_what_was_said_while_the_caller_was_away_is_told_first(served: Running) -> None:
    caller = Caller(served, chunks=30)
    async with caller.connected() as (stream, wire):
        wire.go_deaf()
        await caller.speak(stream, chunks=20)
        session_id = caller.session_ids[0]

        async def all_decided() -> bool:
            return 19 in await decided(served, session_id)

        await until(all_decided)
        wire.cut()
    told_before = len(caller.events)
    async with caller.connected() as (stream, _):
        assert caller.events[told_before]["type"] == "session.resumed"
        assert caller.resumed_at == [20]
        await caller.finish(stream)
    await caller.check()


async def test_a_resumed_session_ends_by_itself_when_its_audio_had_ended(served: Running) -> None:
    caller = Caller(served, chunks=5)
    async with caller.connected() as (stream, wire):
        wire.go_deaf()
        await caller.speak(stream, chunks=5)
        await stream.send({"type": "audio.end"})
        await until(lambda: served.ingestion.open_sessions == 0)
        wire.cut()
    async with caller.connected() as (stream, _):
        await stream.rest()
        assert stream.socket.close_code == WSCloseCode.OK
    await caller.check()


async def decided(served: Running, session_id: str) -> list[int]:
    """Return the chunks of the session's decisions that are recorded."""
    told = [kept.message.event for kept in await served.recorded(session_id)]
    return [event.chunk for event in told if isinstance(event, DecisionMade)]


async def test_the_later_of_two_connections_wins_and_the_earlier_is_told(served: Running) -> None:
    caller = Caller(served, chunks=12)
    async with caller.connected() as (first, _):
        await caller.speak(first, chunks=4)
        await first.until("decision", chunk=3)
        known = len(caller.events)
        async with caller.connected() as (second, _):
            # Both write into one list of events; what the first connection still says is looked at.
            while (event := await first.next()) and event["type"] != "error":
                pass
            assert event
            assert event["code"] == "session_moved"
            assert await first.next() is None
            assert first.socket.close_code == WSCloseCode.GOING_AWAY
            caller.events[known:] = [each for each in caller.events[known:] if each is not event]
            await caller.finish(second)
    await caller.check()


async def test_a_replica_that_hands_over_asks_its_callers_to_come_again(served: Running) -> None:
    caller = Caller(served, chunks=9)
    async with caller.connected() as (stream, _):
        await caller.speak(stream, chunks=2)
        await stream.until("decision", chunk=1)
        await served.ingestion.hand_over()
        await stream.rest()
        assert stream.socket.close_code == WSCloseCode.SERVICE_RESTART
    async with caller.connected() as (stream, _):
        await caller.finish(stream)
    await caller.check()
