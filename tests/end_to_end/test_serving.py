"""Health, capacity, and how the server starts and ends."""

import asyncio
import signal
import socket

import aiohttp
import grpc
import pytest

from services.embedded import Platform
from services.ingestion.config import IngestionConfig
from services.ingestion.servers import Addresses, run_servers
from services.serve import serve
from soundflow.models import load_model
from tests.end_to_end.places import SERVE
from tests.end_to_end.platform import Running, Stream, neighbour, running, told
from tests.end_to_end.requests import form, opening, wav
from tests.waiting import DEADLINE_S, until


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
