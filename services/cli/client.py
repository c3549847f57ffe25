"""A running platform's WebSocket, from the caller's side: audio out, events in.

A connection that breaks is made again, to the same server or another one, and goes on where the
platform has audio up to; the sessions notice nothing but a pause.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle

import aiohttp
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from services.cli.errors import CliError
from services.cli.events import from_json
from services.cli.sent_audio import SentAudio
from services.cli.server import address, reaching
from services.core.events import (
    CallerEvent,
    ErrorEvent,
    Gap,
    SessionClosed,
    SessionOpened,
    SessionResumed,
)
from soundflow.audio import AudioFormat
from soundflow.interaction import SessionSpec

HEARTBEAT_S = 3.0  # a server that vanished without a word is found before it forgets us
CLOSE_S = 1.0
CONNECT_WITHIN_S = 5.0
RESUME_WITHIN_S = 20.0  # by then the platform has closed what nobody came back for
PIECE_BYTES = 32 << 10
# What a server says that no other one, and no other moment, would say otherwise.
_FINAL = ("bad_token", "session_unknown", "session_moved", "bad_channels", "unknown_type")


class _TryAgain(Exception):
    """A server could not take the sessions now."""


@dataclass(slots=True)
class _Session:
    """What must be known of a session to go on with it."""

    token: str
    last_event_id: int = 0
    closed: bool = False


@dataclass(slots=True)
class Stream:
    """An open session, or one a channel, over one connection after another."""

    http: aiohttp.ClientSession
    servers: Sequence[str]
    audio: Mapping[str, object]
    sent: SentAudio
    count: int
    socket: aiohttp.ClientWebSocketResponse
    _sessions: dict[str, _Session] = field(default_factory=dict)
    _place: int = 0
    _ended: bool = False
    _moved: bool = False
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _catching_up: asyncio.Task[None] | None = None

    async def send(self, audio: bytes) -> None:
        """Send audio, or keep it for the connection that is being made."""
        self.sent.append(audio)
        await self._flush()

    async def end(self) -> None:
        """Say that no more audio comes; what is left to say follows."""
        self._ended = True
        await self._flush()

    async def __aiter__(self) -> AsyncIterator[CallerEvent]:
        """Yield events until the sessions are closed, or cannot be gone on with. CliError."""
        while True:
            async for message in self.socket:
                if message.type is aiohttp.WSMsgType.TEXT and (told := from_json(message.json())):
                    self._note(told)
                    yield told
            if not self._may_resume:
                return
            resumed = await self._resume()
            self._catching_up = asyncio.create_task(self._flush())
            yield resumed

    async def close(self) -> None:
        """Leave."""
        if self._catching_up:
            self._catching_up.cancel()
        await self.socket.close()

    @property
    def _may_resume(self) -> bool:
        """Whether something is open that is ours."""
        known = len(self._sessions) == self.count
        return (
            known
            and not self._moved
            and not all(session.closed for session in self._sessions.values())
        )

    def _note(self, told: CallerEvent) -> None:
        match told.event:
            case SessionOpened(session_id, _, token):
                self._sessions[session_id] = _Session(token)
            case ErrorEvent(code="session_moved"):
                self._moved = True
            case Gap(start_ms, end_ms) if told.channel == 0:
                self.sent.note_gap(start_ms, end_ms)
            case SessionClosed():
                self._sessions[told.session_id].closed = True
        if told.id:
            self._sessions[told.session_id].last_event_id = told.id

    async def _flush(self) -> None:
        """Send what was not sent on this connection; what fails is sent on the next one."""
        async with self._turn:
            socket = self.socket
            with suppress(ConnectionError):
                while not socket.closed and self._place < self.sent.end:
                    end, piece = self.sent.since(self._place, PIECE_BYTES)
                    await socket.send_bytes(piece)
                    if socket is not self.socket:
                        return
                    self._place = end
                if self._ended and not socket.closed:
                    await socket.send_json({"type": "audio.end"})

    async def _resume(self) -> CallerEvent:
        """Connect until some server goes on with the sessions; return its first event. CliError."""
        servers = cycle(self.servers)

        async def resume() -> CallerEvent:
            return await self._resume_at(next(servers))

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_TryAgain),
            wait=wait_random_exponential(multiplier=0.2, max=3),
            stop=stop_after_delay(RESUME_WITHIN_S),
            reraise=True,
        )
        try:
            return await retrying(resume)
        except _TryAgain as error:
            raise CliError(f"the connection broke and could not be made again: {error}") from error

    async def _resume_at(self, server: str) -> CallerEvent:
        try:
            socket = await connect(self.http, server)
        except CliError as error:
            raise _TryAgain(str(error)) from error
        try:
            await socket.send_json(
                {"type": "session.resume", "sessions": self._claims(), "audio": self.audio}
            )
            message = await socket.receive(timeout=CONNECT_WITHIN_S)
        except (ConnectionError, TimeoutError) as error:
            raise _TryAgain(f"{server} does not answer") from error
        told = from_json(message.json()) if message.type is aiohttp.WSMsgType.TEXT else None
        if told is None or not isinstance(told.event, SessionResumed):
            await socket.close()
            if told and isinstance(told.event, ErrorEvent) and told.event.code in _FINAL:
                raise CliError(f"the connection broke, and {told.event.message}")
            raise _TryAgain(f"{server} cannot take the session now")
        self._place = self.sent.place(told.event.chunk * told.event.chunk_ms)
        self.socket = socket
        return told

    def _claims(self) -> list[Mapping[str, object]]:
        return [
            {
                "session_id": session_id,
                "resume_token": session.token,
                "last_event_id": session.last_event_id,
            }
            for session_id, session in self._sessions.items()
        ]


@asynccontextmanager
async def open_stream(
    servers: Sequence[str], spec: SessionSpec, audio_format: AudioFormat, *, layout: str
) -> AsyncIterator[Stream]:
    """Connect to the first server that takes us, and open. CliError when none does."""
    audio = {
        "encoding": audio_format.encoding,
        "sample_rate_hz": audio_format.sample_rate_hz,
        "channels": audio_format.channels,
        "layout": layout,
    }
    count = audio_format.channels if layout == "split" else 1
    async with aiohttp.ClientSession() as http:
        socket = await _connect_to_any(http, servers)
        await socket.send_json({"type": "session.open", **spec_json(spec), "audio": audio})
        stream = Stream(http, servers, audio, SentAudio(audio_format), count, socket)
        try:
            yield stream
        finally:
            await stream.close()


async def connect(http: aiohttp.ClientSession, server: str) -> aiohttp.ClientWebSocketResponse:
    """Open a WebSocket. CliError when there is no platform, or no room on it."""
    with reaching(server):
        async with asyncio.timeout(CONNECT_WITHIN_S):
            return await http.ws_connect(
                address(server) / "v1/stream",
                heartbeat=HEARTBEAT_S,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
            )


async def _connect_to_any(
    http: aiohttp.ClientSession, servers: Sequence[str]
) -> aiohttp.ClientWebSocketResponse:
    for server in servers[:-1]:
        with suppress(CliError):
            return await connect(http, server)
    return await connect(http, servers[-1])


def spec_json(spec: SessionSpec) -> dict[str, object]:
    """Write a session's spec as the open message and the task's `spec` part have it."""
    return {
        "instruction": spec.instruction,
        "abilities": sorted(spec.abilities),
        "source_language": spec.source_language,
        "target_language": spec.target_language,
        "tenant": spec.tenant,
        "model": spec.model,
    }
