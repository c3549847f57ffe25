"""Calls over WebSocket, through the four services and back."""

import asyncio

import aiohttp

from tests.end_to_end.platform import Event, Running, tone
from tests.waiting import DEADLINE_S


async def test_a_websocket_call_from_open_to_close(served: Running) -> None:
    async with served.stream(instruction="say something") as stream:
        opened = await stream.until("session.opened")
        await stream.send(tone(chunks=6.5))
        await stream.send({"type": "audio.end"})
        events = await stream.rest()
    assert opened["model"] == "null"
    assert opened["chunk_ms"] == 400
    assert [event["end_ms"] for event in stream.of("decision")][-1] == 2800
    assert [(event["turn"], event["kind"]) for event in stream.of("response.started")] == [
        (1, "notice")
    ]
    assert [event["reason"] for event in stream.of("response.ended")] == ["complete"]
    assert (events[-1]["type"], events[-1]["reason"], events[-1]["chunks"]) == (
        "session.closed",
        "complete",
        7,
    )
    assert {event["session_id"] for event in events} == {opened["session_id"]}
    assert stream.socket.close_code == aiohttp.WSCloseCode.OK


async def test_a_split_call_is_one_session_a_channel_on_one_clock(served: Running) -> None:
    async with served.stream(audio={"channels": 2, "layout": "split"}) as stream:
        await stream.send(tone(chunks=2 * 3))
        await stream.send({"type": "audio.end"})
        await stream.rest()
    closed = sorted(stream.of("session.closed"), key=lambda event: event["channel"])
    assert [event["channel"] for event in closed] == [0, 1]
    assert [event["chunks"] for event in closed] == [4, 4]
    assert len({event["session_id"] for event in closed}) == 2


async def test_timestamps_that_jump_are_a_gap(served: Running) -> None:
    async with served.stream() as stream:
        await stream.send({"type": "audio.timestamp", "timestamp_ms": 5_000})
        await stream.send(tone(chunks=1))
        await stream.send({"type": "audio.timestamp", "timestamp_ms": 6_400})
        await stream.send(tone(chunks=1))
        await stream.send({"type": "audio.end"})
        await stream.rest()
    gaps = [(gap["start_ms"], gap["end_ms"], gap["chunks"]) for gap in stream.of("gap")]
    assert gaps == [(400, 1400, 3)]
    assert stream.of("session.closed")[0]["chunks"] == 5  # 0.4 s, 1 s of gap, 0.4 s: 4.5 chunks


async def test_instructions_and_cancelling_are_taken_while_the_call_runs(served: Running) -> None:
    async with served.stream(instruction="first") as stream:
        opened = await stream.until("session.opened")
        await stream.send({"type": "instruct", "text": "second"})
        await stream.send({"type": "cancel", "turn": 1})
        await stream.send(tone(chunks=1))
        await stream.until("decision", chunk=0)
        record = await served.ingestion.record(opened["session_id"])
        await stream.send({"type": "audio.end"})
        await stream.rest()
    assert record.spec.instruction == "second"
    assert stream.of("error") == []


async def test_twenty_calls_at_once_lose_nothing_and_answer_nothing_twice(served: Running) -> None:
    async def call() -> list[Event]:
        async with served.stream() as stream:
            for _ in range(20):
                await stream.send(tone(chunks=1))
            await stream.send({"type": "audio.end"})
            return await stream.rest()

    calls = await asyncio.wait_for(asyncio.gather(*(call() for _ in range(20))), DEADLINE_S)
    for events in calls:
        decisions = [event["chunk"] for event in events if event["type"] == "decision"]
        assert decisions == sorted(set(decisions))
        assert decisions[-1] == 20
        assert events[-1]["chunks"] == 21


async def test_a_websocket_caller_may_ping(served: Running) -> None:
    async with served.connect(autoping=False) as stream:
        await stream.socket.ping(b"there?")
        answer = await stream.socket.receive(timeout=DEADLINE_S)
    assert (answer.type, answer.data) == (aiohttp.WSMsgType.PONG, b"there?")
