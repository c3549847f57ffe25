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

from services.core.events import CallerEvent
from services.core.generated.soundflow.v1 import interaction_service_pb2_grpc as rpc
from services.embedded import Platform
from services.ingestion.config import IngestionConfig
from services.ingestion.servers import Addresses, run_servers
from services.ingestion.service import IngestionService
from services.transport.port import Kept
from soundflow.audio import CHUNK_SAMPLES
from soundflow.models import Model, load_model
from tests.end_to_end.clustered import OnCluster, Served, replica_of
from tests.end_to_end.embedded import Embedded
from tests.end_to_end.places import NOW
from tests.waiting import DEADLINE_S, until

Event = dict[str, Any]
ResponseT = TypeVar("ResponseT")


@dataclass(frozen=True, slots=True)
class Running:
    """A platform that runs, and where callers find it. inside: what else tests may know of it."""

    inside: Embedded | OnCluster
    ingestion: IngestionService
    addresses: Addresses
    http: aiohttp.ClientSession
    grpc: rpc.InteractionServiceStub

    @property
    def platform(self) -> Platform:
        """Its objects; only where it is one process."""
        assert isinstance(self.inside, Embedded)
        return self.inside.platform

    async def all_freed(self, *, but: int = 0) -> None:
        """Wait until nothing is kept of any session but `but` of them."""

        async def freed() -> bool:
            return set((await self.inside.held()).values()) <= {but}

        try:
            await until(freed)
        except TimeoutError:
            raise TimeoutError(f"not {but} but {await self.inside.held()}") from None

    async def recorded(self, session_id: str) -> list[Kept[CallerEvent]]:
        """Return what was recorded for a session's caller."""
        return [kept async for kept in self.ingestion.responses.read(session_id, 0)]

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
async def running(model: Model | Served | None = None, /, **config: Any) -> AsyncIterator[Running]:
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
        aiohttp.ClientSession() as http,
        _serving(model, settings, http) as (inside, ingestion, addresses),
        grpc.aio.insecure_channel(addresses.grpc) as channel,
    ):
        stub = rpc.InteractionServiceStub(channel)  # type: ignore[no-untyped-call]
        running = Running(inside, ingestion, addresses, http, stub)
        yield running
        await running.all_freed()


@asynccontextmanager
async def _serving(
    model: Model | Served | None, settings: IngestionConfig, http: aiohttp.ClientSession
) -> AsyncIterator[tuple[Embedded | OnCluster, IngestionService, Addresses]]:
    if NOW.clusters is None:
        assert not isinstance(model, Served)
        platform = Platform.of(model or load_model("null"), settings)
        async with platform.running() as ingestion, run_servers(ingestion) as addresses:
            yield Embedded(platform), ingestion, addresses
        return
    assert not isinstance(model, Model), "Triton serves a model by its name"
    served = model or Served()
    parts = await NOW.clusters.of(served)
    async with replica_of(parts, settings) as (ingestion, addresses):
        inside = OnCluster(parts, ingestion, http, NOW.clusters.left(served))
        await inside.begin()
        yield inside, ingestion, addresses


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
