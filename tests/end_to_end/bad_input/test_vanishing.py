"""Callers that vanish, or do not read: closed, forgotten, and no harm to a call beside them."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import grpc
import pytest

from services.core.generated.soundflow.v1 import interaction_service_pb2 as api
from services.core.generated.soundflow.v1 import interaction_service_pb2_grpc as rpc
from tests.end_to_end.bad_input.sent import LIVE, OPEN, WORDLESS, silent_flac
from tests.end_to_end.places import MINUTES
from tests.end_to_end.platform import Running, neighbour, running, tone
from tests.end_to_end.requests import opening
from tests.end_to_end.wire import AT_ONCE, wire_to
from tests.waiting import DEADLINE_S

# Callers that vanish


@pytest.mark.parametrize("how", ["cut", "go_dead"])
async def test_a_websocket_caller_that_vanishes_is_closed_and_forgotten(how: str) -> None:
    async with (
        running(ping_interval_s=0.5) as served,
        neighbour(served),
        wire_to(served.addresses.http) as wire,
        aiohttp.ClientSession() as http,
    ):
        socket = await http.ws_connect(f"http://{wire.address}/v1/stream", timeout=AT_ONCE)
        await socket.send_json(OPEN)
        session_id = (await socket.receive_json())["session_id"]
        await socket.send_bytes(tone(chunks=7))
        getattr(wire, how)()
        assert await served.closed_for(session_id) == "client_gone"
        await served.all_freed(but=1)
        await socket.close()


@pytest.mark.parametrize("how", ["cut", "go_dead"])
async def test_a_grpc_caller_that_vanishes_is_closed_and_forgotten(how: str) -> None:
    async with (
        running(ping_interval_s=0.5) as served,
        neighbour(served),
        wire_to(served.addresses.grpc) as wire,
        grpc.aio.insecure_channel(wire.address) as channel,
    ):
        call = rpc.InteractionServiceStub(channel).Stream()  # type: ignore[no-untyped-call]
        await call.write(opening())
        session_id = (await call.read()).session_id
        await call.write(api.StreamRequest(audio=api.AudioData(data=tone(chunks=4))))
        getattr(wire, how)()
        assert await served.closed_for(session_id) == "client_gone"
        await served.all_freed(but=1)
        call.cancel()


async def test_a_task_whose_caller_is_cut_off_is_given_up() -> None:
    await vanish_from_a_task("cut")


@MINUTES  # until the buffers are full of events
async def test_a_task_whose_caller_goes_dead_is_given_up() -> None:
    await vanish_from_a_task("go_dead")


async def vanish_from_a_task(how: str) -> None:
    async with (
        running(ping_interval_s=0.5) as served,
        neighbour(served),
        wire_to(served.addresses.http) as wire,
        aiohttp.ClientSession() as http,
    ):
        url = f"http://{wire.address}/v1/tasks"
        form = aiohttp.FormData()
        form.add_field("file", io.BytesIO(silent_flac(hours=1)), filename="silence.flac")
        async with http.post(url, data=form, headers=LIVE) as response:
            assert await response.content.readline() == b"event: session.opened\n"
            opened = json.loads((await response.content.readline()).removeprefix(b"data: "))
            getattr(wire, how)()
            # A dead caller shows once the buffers towards it are full.
            assert await served.closed_for(opened["session_id"], within_s=120) == "client_gone"
            await served.all_freed(but=1)


# Callers that do not read


async def test_a_websocket_caller_that_does_not_read_is_closed_with_the_reason() -> None:
    async with (
        running(outbox_events=10, read_grace_s=0.2) as served,
        neighbour(served),
        wire_to(served.addresses.http) as wire,
        aiohttp.ClientSession() as http,
    ):
        socket = await http.ws_connect(f"http://{wire.address}/v1/stream", timeout=AT_ONCE)
        await socket.send_json(OPEN)
        session_id = (await socket.receive_json())["session_id"]
        wire.go_deaf()
        async with asyncio.timeout(DEADLINE_S):
            while not wire.server_hung_up:
                await socket.send_json(WORDLESS)
                await asyncio.sleep(0)
        assert await served.closed_for(session_id) == "client_too_slow"
        await served.all_freed(but=1)
        await socket.close()


async def test_a_grpc_caller_that_does_not_read_is_closed_and_can_still_learn_why() -> None:
    async with running(outbox_events=10) as served, neighbour(served), flooded_grpc(served) as call:
        await served.all_freed(but=1)
        last = await call.read()
        while (event := await call.read()) is not grpc.aio.EOF:
            last = event
    assert last.session_closed.reason == "client_too_slow"


@asynccontextmanager
async def flooded_grpc(served: Running) -> AsyncIterator[Any]:
    """Open a call and ask for events without reading them, until the session is closed for it."""
    small_window = [("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(served.addresses.grpc, small_window) as channel:
        call = rpc.InteractionServiceStub(channel).Stream()  # type: ignore[no-untyped-call]
        await call.write(opening())
        session_id = (await call.read()).session_id
        while not (await served.ingestion.record(session_id)).closed:
            await call.write(api.StreamRequest(instruction=" "))
        assert (await served.ingestion.record(session_id)).closed == "client_too_slow"
        yield call
