"""A caller over WebSocket whose connections break, and who checks what it was told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import aiohttp

from services.core.events import CallerEvent
from soundflow.audio import CHUNK_SAMPLES
from tests.end_to_end.platform import Event, Running, Stream, tone
from tests.end_to_end.wire import AT_ONCE, Wire, wire_to
from tests.waiting import DEADLINE_S

CHUNK_BYTES = 2 * CHUNK_SAMPLES
PATIENT = {"resume_within_s": DEADLINE_S}


@dataclass
class Caller:
    """Speaks a recording of so many chunks, over one connection after another."""

    served: Running
    chunks: int
    channels: int = 1
    events: list[Event] = field(default_factory=list)
    position: int = 0  # in bytes
    resumed_at: list[int] = field(default_factory=list)

    @cached_property
    def recording(self) -> bytes:
        return tone(chunks=self.chunks * self.channels)

    @property
    def audio(self) -> dict[str, Any]:
        return {"channels": self.channels, "layout": "split" if self.channels > 1 else "mix"}

    @property
    def session_ids(self) -> list[str]:
        opened = [event for event in self.events if event["type"] == "session.opened"]
        return [event["session_id"] for event in sorted(opened, key=lambda each: each["channel"])]

    def of(self, event_type: str, session_id: str = "") -> list[Event]:
        return [
            event
            for event in self.events
            if event["type"] == event_type and session_id in ("", event["session_id"])
        ]

    def claims(self) -> list[dict[str, object]]:
        return [
            {
                "session_id": session_id,
                "resume_token": self.of("session.opened", session_id)[0]["resume_token"],
                "last_event_id": max(self.ids(session_id), default=0),
            }
            for session_id in self.session_ids
        ]

    def ids(self, session_id: str) -> list[int]:
        mine = [event for event in self.events if event["session_id"] == session_id]
        return [event["id"] for event in mine if "id" in event]

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[Stream, Wire]]:
        """Connect over a wire that can be cut; open, or go on from what is known."""
        async with (
            wire_to(self.served.addresses.http) as wire,
            aiohttp.ClientSession() as http,
        ):
            url = f"http://{wire.address}/v1/stream"
            socket = await http.ws_connect(url, max_msg_size=0, timeout=AT_ONCE)
            stream = Stream(socket, self.events)
            if not self.session_ids:
                await stream.send({"type": "session.open", "audio": self.audio})
                while len(self.session_ids) < self.channels:
                    assert await stream.next()
            else:
                await stream.send(
                    {"type": "session.resume", "sessions": self.claims(), "audio": self.audio}
                )
                resumed = await stream.until("session.resumed")
                self.position = resumed["chunk"] * CHUNK_BYTES * self.channels
                self.resumed_at.append(resumed["chunk"])
            try:
                yield stream, wire
            finally:
                await socket.close()

    async def speak(self, stream: Stream, *, chunks: float) -> None:
        """Send a little at a time, as one speaks."""
        end = min(
            self.position + 2 * round(chunks * CHUNK_SAMPLES) * self.channels, len(self.recording)
        )
        while self.position < end:
            piece = self.recording[self.position : min(end, self.position + 3200)]
            await stream.send(piece)
            self.position += len(piece)
            await asyncio.sleep(0.001)

    async def finish(self, stream: Stream) -> None:
        await self.speak(stream, chunks=self.chunks)
        await stream.send({"type": "audio.end"})
        await stream.rest()

    async def check(self) -> None:
        """Compare what was told with the record: every event, once, in order."""
        for session_id in self.session_ids:
            recorded = await self.served.recorded(session_id)
            assert self.ids(session_id) == [kept.position for kept in recorded]
            self._check_record([kept.message for kept in recorded], session_id)

    def _check_record(self, recorded: list[CallerEvent], session_id: str) -> None:
        decided = [event["chunk"] for event in self.of("decision", session_id)]
        assert decided == sorted(set(decided))
        assert decided[-1] == self.chunks  # the last one is empty and says that it was all
        started = [event["turn"] for event in self.of("response.started", session_id)]
        assert started == [event["turn"] for event in self.of("response.ended", session_id)]
        assert len(started) == len(set(started)) > 0
        [closed] = self.of("session.closed", session_id)
        assert (closed["reason"], closed["chunks"]) == ("complete", self.chunks + 1)
        assert self.of("error", session_id) == []
        assert recorded[-1].event.type == "session.closed"
