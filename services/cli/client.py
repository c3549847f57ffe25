"""A running platform's WebSocket, from the caller's side: audio out, events in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from services.cli.events import from_json
from services.cli.server import address, reaching
from services.core.events import CallerEvent
from soundflow.audio import AudioFormat
from soundflow.interaction import SessionSpec

HEARTBEAT_S = 30.0  # so a server that vanished without a word is found within 45 s
CLOSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Stream:
    """An open session, or one a channel."""

    socket: aiohttp.ClientWebSocketResponse

    async def send(self, audio: bytes) -> None:
        """Send audio. ConnectionError when the server is gone; its last events say why."""
        await self.socket.send_bytes(audio)

    async def end(self) -> None:
        """Say that no more audio comes; what is left to say follows. ConnectionError."""
        await self.socket.send_json({"type": "audio.end"})

    async def __aiter__(self) -> AsyncIterator[CallerEvent]:
        """Yield events until the server closes or is lost."""
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.TEXT and (told := from_json(message.json())):
                yield told


@asynccontextmanager
async def open_stream(
    server: str, spec: SessionSpec, audio_format: AudioFormat, *, layout: str
) -> AsyncIterator[Stream]:
    """Connect and open a session. CliError when there is no platform, or no room on it."""
    audio = {
        "encoding": audio_format.encoding,
        "sample_rate_hz": audio_format.sample_rate_hz,
        "channels": audio_format.channels,
        "layout": layout,
    }
    async with aiohttp.ClientSession() as http:
        with reaching(server):
            socket = await http.ws_connect(
                address(server) / "v1/stream",
                heartbeat=HEARTBEAT_S,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
            )
        try:
            await socket.send_json({"type": "session.open", **spec_json(spec), "audio": audio})
            yield Stream(socket)
        finally:
            await socket.close()


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
