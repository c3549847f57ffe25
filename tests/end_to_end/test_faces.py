"""Every public face, from a real socket through the four services and back."""

import asyncio
import dataclasses
import io
import json
import signal
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import aiohttp
import grpc
import numpy as np
import pytest
import soundfile
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.core.generated.soundflow.v1 import interaction_service_pb2 as api
from services.core.generated.soundflow.v1 import stream_pb2 as pb
from services.embedded import Platform
from services.ingestion.config import IngestionConfig
from services.ingestion.servers import Addresses, run_servers
from services.serve import serve
from soundflow.audio import Chunk
from soundflow.decoder import Stepped
from soundflow.engine import QUEUE_CHUNKS
from soundflow.features import Features
from soundflow.models import Model, load_model
from soundflow.null import NullDecoder, NullEncoder, NullState
from tests.end_to_end.places import OWN_MODEL, SERVE
from tests.end_to_end.platform import Event, Running, Stream, neighbour, running, told, tone
from tests.waiting import DEADLINE_S, until


@pytest.fixture
async def served() -> AsyncIterator[Running]:
    async with running() as served:
        yield served


def wav(*, seconds: float, channels: int = 1) -> bytes:
    """Return a WAV file of that length at 16 kHz."""
    file = io.BytesIO()
    samples = np.zeros((round(seconds * 16_000), channels), np.float32)
    soundfile.write(file, samples, 16_000, format="WAV", subtype="PCM_16")
    return file.getvalue()


def form(file: bytes, **spec: object) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("spec", json.dumps(spec), content_type="application/json")
    form.add_field("file", file, filename="recording.wav")
    return form


def opening(**spec: str) -> api.StreamRequest:
    return api.StreamRequest(open=api.OpenSession(spec=pb.SessionSpec(**spec)))


def audio(data: bytes) -> api.StreamRequest:
    return api.StreamRequest(audio=api.AudioData(data=data))


def server_sent(body: str) -> list[tuple[str, Event]]:
    """Take server-sent events apart."""
    events = []
    for block in body.strip().split("\n\n"):
        name, data = block.split("\n")
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


# WebSocket


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


# gRPC


async def test_a_grpc_call_from_open_to_close(served: Running) -> None:
    requests = [opening(instruction="say something"), audio(tone(chunks=6.5))]
    events = await told(served.grpc.Stream(iter(requests)))
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[0] == "session_opened"
    assert kinds[-1] == "session_closed"
    assert kinds.count("response_started") == 1
    assert events[-1].session_closed == pb.SessionClosed(reason="complete", chunks=7, turns=1)


async def test_a_grpc_call_can_instruct_and_cancel_on_the_way(served: Running) -> None:
    requests = [
        opening(instruction="first"),
        api.StreamRequest(instruction="second"),
        api.StreamRequest(cancel_turn=1),
        audio(tone(chunks=1)),
    ]
    events = await told(served.grpc.Stream(iter(requests)))
    request = api.GetSessionRequest(session_id=events[0].session_id)
    assert (await served.grpc.GetSession(request)).spec.instruction == "second"
    assert events[-1].session_closed.reason == "complete"


async def test_a_websocket_caller_may_ping(served: Running) -> None:
    async with served.connect(autoping=False) as stream:
        await stream.socket.ping(b"there?")
        answer = await stream.socket.receive(timeout=DEADLINE_S)
    assert (answer.type, answer.data) == (aiohttp.WSMsgType.PONG, b"there?")


async def test_grpc_and_websocket_tell_the_same(served: Running) -> None:
    call = served.grpc.Stream(iter([opening(), audio(tone(chunks=5))]))
    over_grpc = [event.WhichOneof("event") for event in await told(call)]
    async with served.stream() as stream:
        await stream.send(tone(chunks=5))
        await stream.send({"type": "audio.end"})
        over_websocket = [event["type"].replace(".", "_") for event in await stream.rest()]
    # How many chunks a decision covers depends on the moment, so decisions are left out.
    assert [kind for kind in over_grpc if kind != "decision"] == [
        kind for kind in over_websocket if kind != "decision"
    ]


async def test_another_call_can_instruct_ask_for_and_close_a_session(served: Running) -> None:
    async with served.stream(instruction="first") as stream:
        session_id = (await stream.until("session.opened"))["session_id"]
        await stream.send(tone(chunks=5))
        await stream.until("response.ended")
        await served.grpc.Instruct(api.InstructRequest(session_id=session_id, text="second"))

        async def session() -> api.GetSessionResponse:
            request = api.GetSessionRequest(session_id=session_id)
            state: api.GetSessionResponse = await served.grpc.GetSession(request)
            return state

        async def kept() -> bool:
            return bool((await session()).turns)

        await until(kept)
        state = await session()
        await served.grpc.CloseSession(api.CloseSessionRequest(session_id=session_id))
        events = await stream.rest()
        closed = await session()
    assert state.spec.instruction == "second"
    assert [(turn.turn, turn.kind, turn.text) for turn in state.turns] == [
        (1, pb.KIND_NOTICE, "chunk 4")
    ]
    assert (state.last_index, state.closed) == (4, "")
    assert events[-1]["reason"] == closed.closed == "closed_by_caller"


async def test_grpc_tells_its_health_and_what_it_serves(served: Running) -> None:
    service = "soundflow.v1.InteractionService"
    async with grpc.aio.insecure_channel(served.addresses.grpc) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(cast(grpc.Channel, channel))
        question = reflection_pb2.ServerReflectionRequest(list_services="")
        listed = await told(reflection.ServerReflectionInfo(iter([question])))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert service in {entry.name for entry in listed[0].list_services_response.service}


# Tasks


async def test_a_task_answers_with_its_turns_and_events(served: Running) -> None:
    url = f"{served.addresses.http}/v1/tasks"
    async with served.http.post(url, data=form(wav(seconds=3), instruction="count")) as response:
        answer = await response.json()
    assert response.status == 200
    assert answer["duration_ms"] == 3000
    assert answer["turns"] == [
        {"turn": 1, "channel": 0, "kind": "notice", "text": "chunk 4", "start_ms": 1600}
    ]
    decided = [event["chunk"] for event in answer["events"] if event["type"] == "decision"]
    assert decided == list(range(8))  # one for each chunk: a task goes in lock-step
    assert answer["events"][-1]["reason"] == "complete"


async def test_a_task_streams_events_and_progress(served: Running) -> None:
    url = f"{served.addresses.http}/v1/tasks"
    accept = {"Accept": "text/event-stream"}
    async with served.http.post(url, data=form(wav(seconds=1)), headers=accept) as response:
        events = server_sent(await response.text())
    assert response.content_type == "text/event-stream"
    progress = [data for name, data in events if name == "progress"]
    assert progress == [
        {"done_ms": 400, "total_ms": 1000},
        {"done_ms": 800, "total_ms": 1000},
        {"done_ms": 1000, "total_ms": 1000},
    ]
    assert events[0][0] == "session.opened"
    assert events[-1][0] == "session.closed"


async def test_a_task_over_grpc_tells_the_same(served: Running) -> None:
    recording = wav(seconds=3)
    requests = [
        api.RunTaskRequest(open=api.OpenTask()),
        *(api.RunTaskRequest(data=recording[i : i + 10_000]) for i in range(0, 100_000, 10_000)),
    ]
    responses = await told(served.grpc.RunTask(iter(requests)))
    events = [each.event for each in responses if each.HasField("event")]
    texts = [each.response_text.text for each in events if each.HasField("response_text")]
    assert texts == ["chunk 4"]
    assert [each.progress for each in responses if each.HasField("progress")][-1] == (
        api.TaskProgress(done_ms=3000, total_ms=3000)
    )
    assert events[-1].session_closed.reason == "complete"


async def test_a_task_can_hear_each_channel_alone(served: Running) -> None:
    url = f"{served.addresses.http}/v1/tasks"
    data = form(wav(seconds=1, channels=2), layout="split")
    async with served.http.post(url, data=data) as response:
        answer = await response.json()
    closed = [event for event in answer["events"] if event["type"] == "session.closed"]
    assert sorted((event["channel"], event["chunks"]) for event in closed) == [(0, 3), (1, 3)]


# HTTP, capacity, start and stop


async def test_health_readiness_metrics_and_the_console(served: Running) -> None:
    async def get(path: str) -> tuple[int, str]:
        async with served.http.get(f"{served.addresses.http}{path}") as response:
            return response.status, await response.text()

    async with served.stream() as stream:
        await stream.until("session.opened")
        assert (await get("/healthz"))[0] == 200
        assert (await get("/readyz"))[0] == 200
        assert "soundflow_sessions_open 1.0" in (await get("/metrics"))[1]
        status, page = await get("/")
    assert status == 200
    assert "<html" in page
    assert (await get("/nothing/here"))[0] == 404


async def test_a_full_platform_refuses_by_name_and_serves_who_is_there() -> None:
    async with running(max_sessions=1, retry_after_s=7) as full, neighbour(full):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with full.stream():
                pass
        with pytest.raises(grpc.aio.AioRpcError) as refused_too:
            await told(full.grpc.Stream(iter([opening()])))
        url = f"{full.addresses.http}/v1/tasks"
        async with full.http.post(url, data=form(wav(seconds=1))) as response:
            answer = await response.json()
    assert refused.value.status == response.status == 429
    assert refused.value.headers is not None
    assert refused.value.headers["Retry-After"] == response.headers["Retry-After"] == "7"
    assert answer["error"]["code"] == "overloaded"
    assert refused_too.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert dict(refused_too.value.trailing_metadata() or ()) == {
        "soundflow-error": "overloaded",
        "retry-after": "7",
    }


async def test_a_stereo_call_that_needs_two_places_is_refused_after_the_upgrade() -> None:
    async with running(max_sessions=2) as nearly_full, neighbour(nearly_full):
        split = {"channels": 2, "layout": "split"}
        async with nearly_full.stream(audio=split) as stream:
            events = await stream.rest()
    assert [event["code"] for event in events] == ["overloaded"]
    assert stream.socket.close_code == aiohttp.WSCloseCode.TRY_AGAIN_LATER


@SERVE
@pytest.mark.parametrize("calling", [False, True], ids=["idle", "in a call"])
async def test_the_server_ends_on_a_signal_and_says_so(calling: bool) -> None:
    config = IngestionConfig(
        http_port=0, grpc_port=0, shutdown_grace_s=0.2 if calling else 600, read_grace_s=0.5
    )
    addresses: asyncio.Future[Addresses] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(load_model("null"), config, ready=addresses.set_result))
    async with aiohttp.ClientSession() as http:
        url = f"{(await addresses).http}/v1/stream"
        if calling:
            async with http.ws_connect(url) as caller:
                await caller.send_json({"type": "session.open"})
                await caller.receive_json()
                signal.raise_signal(signal.SIGTERM)
                assert (await caller.receive_json(timeout=DEADLINE_S))["reason"] == "shutdown"
        else:
            signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(server, DEADLINE_S)


@pytest.mark.parametrize("port", ["http_port", "grpc_port"])
@SERVE
async def test_a_port_that_is_taken_is_an_os_error(port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {"http_port": 0, "grpc_port": 0, port: taken.getsockname()[1]}
        platform = Platform.of(load_model("null"), IngestionConfig(**ports))
        with pytest.raises(OSError, match=str(taken.getsockname()[1])):
            async with run_servers(platform.ingestion):
                pass


@SERVE
async def test_a_server_that_stops_takes_nobody_new_but_lets_calls_end() -> None:
    config = IngestionConfig(http_port=0, grpc_port=0, read_grace_s=0.5)
    addresses: asyncio.Future[Addresses] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(load_model("null"), config, ready=addresses.set_result))
    async with aiohttp.ClientSession() as http:
        base = (await addresses).http
        async with http.ws_connect(f"{base}/v1/stream") as caller:
            await caller.send_json({"type": "session.open"})
            await caller.receive_json()
            signal.raise_signal(signal.SIGTERM)

            async def unready() -> bool:
                async with http.get(f"{base}/readyz") as response:
                    return response.status == 503

            await until(unready)
            with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
                await http.ws_connect(f"{base}/v1/stream")
            await caller.send_json({"type": "audio.end"})
            events = await Stream(caller).rest()
        await asyncio.wait_for(server, DEADLINE_S)
    assert events[-1]["reason"] == "complete"


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
        await stream.send({"type": "audio.end"})
        events = await stream.rest()
    overruns = [(each["start_ms"], each["end_ms"], each["chunks"]) for each in stream.of("overrun")]
    dropped = 100 - QUEUE_CHUNKS
    assert overruns == [(400, (dropped + 1) * 400, dropped)]
    assert [event["chunk"] for event in stream.of("decision")][:2] == [0, 100]
    assert events[-1] == events[-1] | {"reason": "complete", "chunks": 102}
