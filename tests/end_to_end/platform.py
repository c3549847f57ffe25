"""The whole platform behind real sockets, around any model, and callers to talk to it."""

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp
import grpc
import numpy as np

from services.core.generated.soundflow.v1 import interaction_service_pb2_grpc as rpc
from services.embedded import Platform
from services.ingestion.config import IngestionConfig
from services.ingestion.servers import Addresses, run_servers
from services.ingestion.service import IngestionService
from soundflow.audio import CHUNK_SAMPLES
from soundflow.models import Model, load_model
from tests.end_to_end.places import NOW, held, replica_of
from tests.waiting import DEADLINE_S, until

Event = dict[str, Any]
ResponseT = TypeVar("ResponseT")


@dataclass(frozen=True, slots=True)
class Running:
    """A platform that runs, and where. platform: its insides, where it is one process."""

    ingestion: IngestionService
    addresses: Addresses
    http: aiohttp.ClientSession
    grpc: rpc.InteractionServiceStub
    insides: Platform | None = None

    @property
    def platform(self) -> Platform:
        """The insides; tests that look at them run in one process only."""
        assert self.insides is not None
        return self.insides

    @property
    def held(self) -> dict[str, int]:
        """How many sessions each part still keeps something of."""
        if NOW.cluster:
            return held(NOW.cluster, self.ingestion)
        platform = self.platform
        return {
            "ingestion": platform.ingestion.open_sessions,
            "perception": len(platform.perception.carried),
            "decision": len(platform.decision.placement),
            "engine": len(platform.engine._sessions),
            "response": len(platform.response._sessions),
        }

    async def all_freed(self, *, but: int = 0) -> None:
        """Wait until nothing is kept of any session but `but` of them."""
        await until(lambda: set(self.held.values()) <= {but})

    @asynccontextmanager
    async def stream(self, **opening: object) -> AsyncIterator["Stream"]:
        """Open a session over WebSocket."""
        async with self.connect() as stream:
            await stream.send({"type": "session.open", **opening})
            yield stream

    @asynccontextmanager
    async def connect(self, **options: Any) -> AsyncIterator["Stream"]:
        """Open a WebSocket, and send nothing yet."""
        url = f"{self.addresses.http}/v1/stream"
        async with self.http.ws_connect(url, max_msg_size=0, **options) as socket:
            yield Stream(socket)

    async def closed_for(self, session_id: str, *, within_s: float = DEADLINE_S) -> str:
        """Wait until the session's record says why it was closed."""

        async def closed() -> bool:
            return bool((await self.ingestion.record(session_id)).closed)

        await until(closed, within_s=within_s)
        return (await self.ingestion.record(session_id)).closed


@dataclass(slots=True)
class Stream:
    """A caller's WebSocket, and all that it was told."""

    socket: aiohttp.ClientWebSocketResponse
    events: list[Event] = field(default_factory=list)

    async def send(self, message: object) -> None:
        """Send JSON, or text and bytes as they are."""
        if isinstance(message, bytes):
            await self.socket.send_bytes(message)
        else:
            await self.socket.send_str(message if isinstance(message, str) else json.dumps(message))

    async def next(self) -> Event | None:
        """Return the next event; None when the server has closed the connection."""
        message = await self.socket.receive(timeout=DEADLINE_S)
        if message.type is not aiohttp.WSMsgType.TEXT:
            return None
        self.events.append(json.loads(message.data))
        return self.events[-1]

    async def until(self, event_type: str, **fields: object) -> Event:
        """Return the next event of that type and those fields."""
        while event := await self.next():
            if event["type"] == event_type and fields.items() <= event.items():
                return event
        raise AssertionError(f"the connection was closed before {event_type}: {self.events}")

    async def rest(self) -> list[Event]:
        """Read to the end of the connection; return all events, from the first."""
        while await self.next():
            pass
        return self.events

    def of(self, event_type: str) -> list[Event]:
        return [event for event in self.events if event["type"] == event_type]


@asynccontextmanager
async def running(model: Model | None = None, /, **config: Any) -> AsyncIterator[Running]:
    """Run a platform with these settings, around the null model if none is given.

    At the end nothing may be kept of any session.
    """
    settings = IngestionConfig(
        **{
            "http_port": 0,
            "grpc_port": 0,
            "burst_ms": 10**9,
            "read_grace_s": 0.5,
            "resume_within_s": 0.2,
            **config,
        }
    )
    async with (
        _serving(model, settings) as (ingestion, addresses, insides),
        aiohttp.ClientSession() as http,
        grpc.aio.insecure_channel(addresses.grpc) as channel,
    ):
        stub = rpc.InteractionServiceStub(channel)  # type: ignore[no-untyped-call]
        running = Running(ingestion, addresses, http, stub, insides)
        yield running
        await running.all_freed()


@asynccontextmanager
async def _serving(
    model: Model | None, settings: IngestionConfig
) -> AsyncIterator[tuple[IngestionService, Addresses, Platform | None]]:
    if NOW.cluster:
        assert model is None, "a cluster has the model that its servers have"
        async with replica_of(NOW.cluster, settings) as (ingestion, addresses):
            yield ingestion, addresses, None
        return
    platform = Platform.of(model or load_model("null"), settings)
    async with platform.running() as ingestion, run_servers(ingestion) as addresses:
        yield ingestion, addresses, platform


@asynccontextmanager
async def neighbour(running: Running) -> AsyncIterator[None]:
    """Hold a well-behaved call meanwhile, which must not notice anything of what goes on."""
    leave = asyncio.Event()
    async with running.stream() as stream:
        await stream.until("session.opened")
        calling = asyncio.create_task(_chat(stream, leave))
        try:
            yield
        finally:
            leave.set()
            chunks = await calling
    assert stream.of("error") == []
    assert [event["chunk"] for event in stream.of("decision")] == list(range(chunks + 1))
    assert stream.events[-1] == stream.events[-1] | {
        "type": "session.closed",
        "reason": "complete",
        "chunks": chunks + 1,
    }


async def _chat(stream: Stream, leave: asyncio.Event) -> int:
    """Send a chunk, wait for its decision, and so on; return how many there were."""
    chunks = 0
    while not leave.is_set() or chunks < 10:
        await stream.send(tone(chunks=1))
        await stream.until("decision", chunk=chunks)
        chunks += 1
        await asyncio.sleep(0.01)
    await stream.send({"type": "audio.end"})
    await stream.rest()
    return chunks


def tone(*, chunks: float) -> bytes:
    """Return that many chunks of a quiet tone as pcm_s16le at 16 kHz."""
    samples = np.arange(round(chunks * CHUNK_SAMPLES))
    return np.asarray(1000 * np.sin(samples * 0.2), "<i2").tobytes()


async def told(call: AsyncIterable[ResponseT]) -> list[ResponseT]:
    """Read a call's responses to their end."""
    async with asyncio.timeout(DEADLINE_S):
        return [response async for response in call]
