"""What callers notice of a model that fails, is full or is late."""

import dataclasses
import io
import threading
from collections.abc import Sequence

import aiohttp
import grpc
import numpy as np
import pytest
import soundfile

from services.core.generated.soundflow.v1 import interaction_service_pb2 as api
from services.decision import placement
from soundflow.audio import Chunk
from soundflow.decoder import DecoderFull, Stepped
from soundflow.engine import QUEUE_CHUNKS
from soundflow.features import Features
from soundflow.models import Model
from soundflow.null import NullDecoder, NullEncoder, NullState
from tests.end_to_end.places import OWN_MODEL
from tests.end_to_end.platform import neighbour, running, told, tone
from tests.end_to_end.requests import form, server_sent, wav
from tests.waiting import DEADLINE_S, until


class BreakingEncoder(NullEncoder):
    """Fails on a chunk that is loud."""

    def encode(self, batch: Sequence[tuple[Chunk, None]]) -> list[tuple[Features, None]]:
        if any(np.abs(chunk.pcm).max() > 0.5 for chunk, _ in batch):
            raise ValueError("too loud")
        return super().encode(batch)


@OWN_MODEL
async def test_a_session_that_the_platform_fails_on_is_closed_with_a_reason() -> None:
    broken = Model(BreakingEncoder(), NullDecoder())
    loud = np.full(6400, 32767, "<i2").tobytes()
    async with running(broken) as served, served.stream() as stream:
        await stream.send(tone(chunks=1))
        await stream.until("decision", chunk=0)
        await stream.send(loud)
        await stream.send(tone(chunks=1))
        events = await stream.rest()
    assert [event["code"] for event in stream.of("error")] == ["internal"]
    assert events[-1] == events[-1] | {"type": "session.closed", "reason": "error"}
    assert [event["chunk"] for event in stream.of("decision")] == [0]


@OWN_MODEL
async def test_a_task_that_the_platform_fails_on_ends_with_an_error() -> None:
    broken = Model(BreakingEncoder(), NullDecoder())
    file = io.BytesIO()
    soundfile.write(file, np.full(16_000, 0.9), 16_000, format="WAV")
    async with running(broken) as served:
        url = f"{served.addresses.http}/v1/tasks"
        async with served.http.post(url, data=form(file.getvalue())) as response:
            answer = await response.json()
    assert response.status == 500
    assert answer["error"]["code"] == "internal"


class SmallDecoder(NullDecoder):
    """Has room for one session."""

    def __init__(self) -> None:
        super().__init__()
        self.info = dataclasses.replace(self.info, capacity=1)


@OWN_MODEL
async def test_a_model_takes_no_more_sessions_than_it_has_room_for() -> None:
    async with running(Model(NullEncoder(), SmallDecoder())) as full, neighbour(full):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with full.stream():
                pass
    assert refused.value.status == 429


class FullDecoder(NullDecoder):
    """Has room for nobody, which it says of each session that was taken in."""

    def open(self, *_: object) -> NullState:
        raise DecoderFull("all places are taken")


@OWN_MODEL
async def test_a_task_that_no_decoder_has_room_for_is_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(placement, "FULL_FOR_S", 0.1)
    async with running(Model(NullEncoder(), FullDecoder())) as full:
        url = f"{full.addresses.http}/v1/tasks"
        async with full.http.post(url, data=form(wav(seconds=1))) as response:
            answer = await response.json()
        assert (response.status, answer["error"]["code"]) == (429, "overloaded")
        assert int(response.headers["Retry-After"]) >= 1
        upload = [api.RunTaskRequest(open=api.OpenTask()), api.RunTaskRequest(data=wav(seconds=1))]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await told(full.grpc.RunTask(iter(upload)))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "retry-after" in dict(refused.value.trailing_metadata() or ())


class HeldDecoder(NullDecoder):
    """Hears nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def step(
        self,
        hearing: Sequence[tuple[NullState, Sequence[Features]]],
        speaking: Sequence[tuple[NullState, Sequence[Features]]],
    ) -> Stepped:
        assert self.go_on.wait(DEADLINE_S)
        return super().step(hearing, speaking)


@OWN_MODEL
async def test_what_is_not_heard_in_time_is_dropped_and_told() -> None:
    decoder = HeldDecoder()
    async with running(Model(NullEncoder(), decoder)) as served, served.stream() as stream:
        session_id = (await stream.until("session.opened"))["session_id"]
        await stream.send(tone(chunks=1))
        sessions = served.platform.engine._sessions
        await until(lambda: session_id in sessions and bool(sessions[session_id].in_step.queue))
        for _ in range(2):
            await stream.send(tone(chunks=50))
        await until(lambda: sessions[session_id].next_index == 101)
        decoder.go_on.set()
        await stream.until("decision", chunk=100)  # before the end adds a chunk
        await stream.send({"type": "audio.end"})
        events = await stream.rest()
    overruns = [(each["start_ms"], each["end_ms"], each["chunks"]) for each in stream.of("overrun")]
    dropped = 100 - QUEUE_CHUNKS
    assert overruns == [(400, (dropped + 1) * 400, dropped)]
    assert [event["chunk"] for event in stream.of("decision")][:2] == [0, 100]
    assert events[-1] == events[-1] | {"reason": "complete", "chunks": 102}


@OWN_MODEL
async def test_a_task_that_is_long_at_work_says_so_meanwhile() -> None:
    decoder = HeldDecoder()
    async with running(Model(NullEncoder(), decoder), ping_interval_s=0.1) as served:
        url, live = f"{served.addresses.http}/v1/tasks", {"Accept": "text/event-stream"}
        async with served.http.post(url, data=form(wav(seconds=1)), headers=live) as response:
            lines = [await response.content.readline() for _ in range(3)]
            while lines.count(b": at work\n") < 3:
                lines.append(await response.content.readline())
            decoder.go_on.set()
            rest = await response.text()
    told = [name for name, _ in server_sent(b"".join(lines).decode())]
    assert told == ["session.opened"]
    assert [name for name, _ in server_sent(rest)][-1] == "session.closed"
