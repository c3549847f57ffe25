"""One live stream, fed by the test; the clock's part with small settings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from services.core.errors import BadRequest, Overloaded, ProtocolBroken
from services.core.events import CloseReason, ErrorEvent, Gap, SessionClosed
from services.core.messages import AudioMessage, Instructed, TurnCancelled
from services.ingestion.call import TICK_S, Call
from soundflow.audio import CHUNK_SAMPLES, AudioFormat, Encoding
from soundflow.interaction import SessionSpec
from tests.services.ingestion.rig import Rig, make_rig, unread
from tests.waiting import DEADLINE_S, until

CHUNK_BYTES = 2 * CHUNK_SAMPLES
ALL_AT_ONCE = {"burst_ms": 10**9}


def silence(*, chunks: float) -> bytes:
    return bytes(round(chunks * CHUNK_BYTES))


@asynccontextmanager
async def calling(
    rig: Rig, audio_format: AudioFormat | None = None, *, split_channels: bool = False
) -> AsyncIterator[Call]:
    call = Call(
        rig.service,
        SessionSpec(),
        audio_format or AudioFormat(),
        face="test",
        split_channels=split_channels,
    )
    async with call:
        yield call


def gaps(call: Call) -> list[Gap]:
    return [event for event in unread(call.events) if isinstance(event, Gap)]


def errors(call: Call) -> list[str]:
    return [event.code for event in unread(call.events) if isinstance(event, ErrorEvent)]


def closes(call: Call) -> list[CloseReason]:
    return [event.reason for event in unread(call.events) if isinstance(event, SessionClosed)]


async def test_bytes_become_numbered_chunks_and_the_end_a_last_one() -> None:
    rig = make_rig(**ALL_AT_ONCE)
    async with calling(rig) as call:
        [session_id] = call.session_ids
        await call.push(silence(chunks=1.25))
        await call.push(silence(chunks=1.25))
        await call.finish()
        await call.finish()  # saying it twice changes nothing
        assert rig.chunks(session_id) == [0, 1, 2]
        last = rig.audio.sent[-1].chunk
    assert (last.last, last.samples) == (True, CHUNK_SAMPLES // 2)


async def test_each_channel_of_a_split_call_is_a_session() -> None:
    rig = make_rig(**ALL_AT_ONCE)
    frames = np.zeros((CHUNK_SAMPLES, 2), "<i2")
    frames[:, 1] = 16384
    async with calling(rig, AudioFormat(channels=2), split_channels=True) as call:
        left, right = call.session_ids
        await call.push(frames.tobytes())
        heard = {sent.chunk.session_id: float(sent.chunk.pcm.max()) for sent in rig.audio.sent}
    assert heard == {left: 0.0, right: 0.5}


async def test_instructions_and_cancelling_go_to_every_channel() -> None:
    rig = make_rig()
    async with calling(rig, AudioFormat(channels=2), split_channels=True) as call:
        await call.instruct("stop")
        await call.cancel(2)
        for session_id in call.session_ids:
            assert rig.changes(session_id)[1:] == [Instructed("stop"), TurnCancelled(2)]


async def test_audio_far_ahead_of_the_clock_waits_and_audio_within_the_burst_does_not() -> None:
    rig = make_rig(burst_ms=60_000)
    async with calling(rig) as call:
        await asyncio.wait_for(call.push(silence(chunks=75)), DEADLINE_S)  # 30 s
        ahead = asyncio.create_task(call.push(silence(chunks=80)))  # 62 s
        await until(lambda: len(rig.audio.sent) == 155)  # taken at once, then made to wait
        assert not ahead.done()
        ahead.cancel()


async def test_a_timestamp_that_jumps_is_told_to_every_channel() -> None:
    rig = make_rig(**ALL_AT_ONCE)
    async with calling(rig, AudioFormat(channels=2), split_channels=True) as call:
        await call.push(silence(chunks=2), timestamp_ms=0)
        await call.push(silence(chunks=2), timestamp_ms=1000)
        assert gaps(call) == [Gap(400, 1000, 2)] * 2


async def test_unusable_audio_is_refused_and_the_next_is_taken() -> None:
    rig = make_rig(**ALL_AT_ONCE)
    async with calling(rig, AudioFormat(Encoding.PCM_F32LE)) as call:
        with pytest.raises(BadRequest) as refused:
            await call.push(np.full(CHUNK_SAMPLES, np.inf, "<f4").tobytes())
        await call.push(np.zeros(CHUNK_SAMPLES, "<f4").tobytes())
        assert rig.chunks(call.session_ids[0]) == [0]
    assert refused.value.code == "bad_samples"


async def test_half_a_sample_at_the_end_is_refused_but_the_end_is_taken() -> None:
    rig = make_rig(**ALL_AT_ONCE)
    async with calling(rig) as call:
        await call.push(silence(chunks=1) + b"\x00")
        with pytest.raises(BadRequest) as refused:
            await call.finish()
        assert rig.audio.sent[-1].chunk.last
    assert refused.value.code == "odd_length"


async def test_audio_after_the_end_and_too_much_at_once_are_refused() -> None:
    rig = make_rig(max_message_bytes=CHUNK_BYTES)
    async with calling(rig) as call:
        with pytest.raises(ProtocolBroken, match=r"12800 bytes.*12801"):
            await call.push(bytes(CHUNK_BYTES + 1))
        await call.finish()
        with pytest.raises(BadRequest) as refused:
            await call.push(silence(chunks=0.5))
    assert refused.value.code == "audio_after_end"


async def test_a_complaint_reaches_the_open_channels_only() -> None:
    rig = make_rig()
    async with calling(rig, AudioFormat(channels=2), split_channels=True) as call:
        await rig.service.close(call.session_ids[0], CloseReason.CLOSED_BY_CALLER)
        await call.complain(BadRequest("bad_samples", "no"))
        assert errors(call) == ["bad_samples"]


async def test_leaving_closes_what_is_open() -> None:
    rig = make_rig()
    async with calling(rig) as call:
        pass
    assert closes(call) == [CloseReason.CLIENT_GONE]
    assert rig.service.open_sessions == 0


async def test_leaving_with_a_goodbye_closes_at_once_and_without_one_later() -> None:
    rig = make_rig(resume_within_s=DEADLINE_S)
    async with calling(rig) as call:
        call.part()
    assert closes(call) == [CloseReason.CLIENT_GONE]
    async with calling(rig) as call:
        pass
    assert closes(call) == []
    assert rig.service.open_sessions == 1


async def test_leaving_after_the_end_closes_nothing_twice() -> None:
    rig = make_rig()
    async with calling(rig) as call:
        await call.finish()
        await rig.tell(call.session_ids[0], SessionClosed(CloseReason.COMPLETE, 1, 0))
        await asyncio.wait_for(call.ended(), DEADLINE_S)
    assert closes(call) == [CloseReason.COMPLETE]


async def test_a_call_that_is_refused_leaves_nothing_open() -> None:
    rig = make_rig(max_sessions=1)
    async with calling(rig):
        with pytest.raises(Overloaded):
            async with calling(rig):
                pass
        assert rig.service.open_sessions == 1


# The clock


async def test_silence_is_filled_in_and_told_once_when_audio_comes_again() -> None:
    rig = make_rig(quiet_after_ms=400)
    async with calling(rig) as call:
        [session_id] = call.session_ids
        await call.push(silence(chunks=0.5))
        await until(lambda: len(rig.chunks(session_id)) >= 3)
        assert gaps(call) == []
        await call.push(silence(chunks=0.5))
        [gap] = gaps(call)
        await call.finish()
        assert gaps(call) == [gap]
    assert gap.start_ms == 200
    assert gap.end_ms >= 1200
    assert rig.chunks(session_id) == list(range(len(rig.chunks(session_id))))


async def test_silence_up_to_the_end_is_told_with_the_end() -> None:
    rig = make_rig(quiet_after_ms=400)
    async with calling(rig) as call:
        await call.push(silence(chunks=0.5))
        await until(lambda: len(rig.chunks(call.session_ids[0])) >= 2)
        await call.finish()
        assert [gap.start_ms for gap in gaps(call)] == [200]


async def test_audio_that_waits_for_the_platform_is_not_taken_for_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = make_rig(quiet_after_ms=400)
    back = platform_away(rig, monkeypatch)
    async with calling(rig) as call:
        async with asyncio.TaskGroup() as caller:
            caller.create_task(call.push(silence(chunks=1)))
            caller.create_task(call.push(silence(chunks=1)))
            await asyncio.sleep(3 * TICK_S)
            caller.create_task(call.finish())
            back.set()
        assert rig.chunks(call.session_ids[0]) == [0, 1, 2]
        assert gaps(call) == []


async def test_after_an_end_that_waits_for_the_platform_nothing_is_filled_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = make_rig(quiet_after_ms=400)
    back = platform_away(rig, monkeypatch)
    async with calling(rig) as call:
        await call.push(silence(chunks=0.5))
        finishing = asyncio.create_task(call.finish())
        await asyncio.sleep(3 * TICK_S)
        back.set()
        await finishing
        await asyncio.sleep(0.01)
        assert [sent.chunk.last for sent in rig.audio.sent] == [True]


def platform_away(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let audio wait until what is returned is set."""
    back, send = asyncio.Event(), rig.audio.send

    async def send_late(message: AudioMessage) -> int:
        await back.wait()
        return await send(message)

    monkeypatch.setattr(rig.audio, "send", send_late)
    return back


async def test_before_the_first_audio_nothing_is_filled_in() -> None:
    rig = make_rig(quiet_after_ms=400, idle_close_s=1)
    async with calling(rig) as call:
        await asyncio.wait_for(call.ended(), DEADLINE_S)
        assert closes(call) == [CloseReason.IDLE]
    assert rig.audio.sent == []


async def test_audio_keeps_a_call_from_being_idle() -> None:
    rig = make_rig(idle_close_s=1, **ALL_AT_ONCE)
    async with calling(rig) as call:
        for _ in range(6):
            await call.push(silence(chunks=0.1))
            await asyncio.sleep(0.2)
        assert closes(call) == []
        await asyncio.wait_for(call.ended(), DEADLINE_S)
        assert closes(call) == [CloseReason.IDLE]
