"""Callers who send nothing for a while, or an hour of silence."""

import pytest
from aiohttp import WSCloseCode

from tests.end_to_end.bad_input.sent import silent_flac, task
from tests.end_to_end.places import MINUTES
from tests.end_to_end.platform import Running, neighbour, running, tone


async def test_a_sender_that_sends_nothing_is_heard_as_silent_until_it_sends_again() -> None:
    async with running(quiet_after_ms=400) as served, neighbour(served), served.stream() as stream:
        await stream.send(tone(chunks=1.5))
        await stream.until("decision", chunk=4)  # 2 s in, though 0.6 s were sent
        assert stream.of("gap") == []  # it is not known yet how long it lasts
        await stream.send(tone(chunks=1))
        gap = await stream.until("gap")
        await stream.send({"type": "audio.end"})
        events = await stream.rest()
    assert gap["start_ms"] == 600
    assert gap["end_ms"] >= 2000
    decided = [event["chunk"] for event in stream.of("decision")]
    assert decided == sorted(set(decided))
    assert len(stream.of("gap")) == 1
    assert events[-1]["reason"] == "complete"


async def test_a_sender_that_stays_silent_is_closed_as_idle() -> None:
    async with running(idle_close_s=0.2) as served, served.stream() as stream:
        events = await stream.rest()
    assert events[-1]["reason"] == "idle"
    assert stream.socket.close_code == WSCloseCode.OK


@MINUTES
@pytest.mark.timeout(900)
async def test_an_hour_of_silence_is_nine_thousand_decisions(served: Running) -> None:
    async with task(served, silent_flac(hours=1), live=True) as response:
        decided = silent = 0
        async for line in response.content:
            if line.startswith(b'data: {"type": "decision"'):
                decided += 1
            if b'"done_ms": 3600000' in line:
                silent += 1
    assert decided == 9001  # the last one holds no sample, and says that the hour is over
    assert silent >= 1
