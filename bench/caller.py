"""A caller as careful clients are: paced at real time, and back on any replica when cut off."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.load import FRAME_SAMPLES, Pcm16
from soundflow.audio import CHUNK_MS, CHUNK_SAMPLES, SAMPLE_RATE_HZ

BACK_WITHIN_S = 60.0
TRY_AGAIN_S = 0.2
HEARTBEAT_S = 45.0  # a platform whose broker restarts takes no audio meanwhile, and no pings

Event = dict[str, Any]


class CutOff(Exception):
    """The connection ended before the session did."""


@dataclass(slots=True)
class Call:
    """What one caller saw of its session, over all its connections.

    decided_at: when each decision came, on the monotonic clock, by its chunk.
    dropped: chunks that the platform dropped unheard, and told so.
    repeated: events that came twice, by what they say.
    resumed: how long each break took, from the loss to the first event after it.
    """

    session_id: str = ""
    token: str = ""
    last_event_id: int = 0
    chunks: int = 0
    dropped: int = 0
    decided_at: dict[int, float] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)
    started: set[int] = field(default_factory=set)
    ended: dict[int, str] = field(default_factory=dict)
    finals: dict[tuple[int, int], str] = field(default_factory=dict)
    repeated: list[Event] = field(default_factory=list)
    resumed_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    closed: str = ""

    @property
    def undecided(self) -> int:
        """Chunks that no decision covers: each covers all up to its own, but what was dropped."""
        return self.dropped + max(0, self.chunks - 1 - max(self.decided_at, default=-1))

    @property
    def unfinished(self) -> set[int]:
        """Turns that began and never ended, or ended because something failed."""
        failed = {turn for turn, reason in self.ended.items() if reason == "error"}
        return (self.started - self.ended.keys()) | failed

    def longest_gap_s(self, since: float, until: float) -> float:
        """Return the longest time without a decision, beyond a chunk's own."""
        times = [since, *sorted(at for at in self.decided_at.values() if since < at < until), until]
        gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
        return max(0.0, max(gaps) - CHUNK_MS / 1000)

    def note(self, event: Event) -> None:
        """Take an event."""
        self.last_event_id = max(self.last_event_id, event.get("id", 0))
        if self._is_repeat(event):
            self.repeated.append(event)
            return
        match event:
            case {"type": "session.opened"}:
                self.session_id, self.token = event["session_id"], event["resume_token"]
            case {"type": "decision"}:
                self.decided_at[event["chunk"]] = time.monotonic()
                self.latencies_ms.append(event["latency_ms"])
            case {"type": "overrun"}:
                self.dropped += event["chunks"]
            case {"type": "response.started"}:
                self.started.add(event["turn"])
            case {"type": "response.text", "final": True}:
                self.finals[event["turn"], event["sequence"]] = event["text"]
            case {"type": "response.ended"}:
                self.ended[event["turn"]] = event["reason"]
            case {"type": "error"}:
                self.errors.append(f"{event['code']}: {event['message']}")
            case {"type": "session.closed"}:
                self.closed = event["reason"]

    def _is_repeat(self, event: Event) -> bool:
        match event:
            case {"type": "decision", "chunk": int(chunk)}:
                return chunk <= max(self.decided_at, default=-1)
            case {"type": "response.started", "turn": int(turn)}:
                return turn in self.started
            case {"type": "response.text", "turn": int(turn), "sequence": int(sequence)}:
                return (turn, sequence) in self.finals or turn in self.ended
            case {"type": "response.ended", "turn": int(turn)}:
                return turn in self.ended
        return False


async def call(
    http: aiohttp.ClientSession,
    urls: Sequence[str],
    pcm: Pcm16,
    opening: Event,
    *,
    report: Call | None = None,
) -> Call:
    """Hold a call to its end; `pcm` is 16 kHz mono. TimeoutError when no replica takes it back.

    report: what is filled in meanwhile, for whoever wants to see it before the end.
    """
    report = report or Call()
    report.chunks = len(pcm) // CHUNK_SAMPLES
    began = time.monotonic()
    lost_at = 0.0
    turn = hash(id(report)) % len(urls)
    while not report.closed:
        url = urls[turn % len(urls)]
        try:
            await _connect(http, url, pcm, opening, report, began, lost_at)
        except (aiohttp.ClientError, CutOff, ConnectionError, TimeoutError) as error:
            now = time.monotonic()
            lost_at = lost_at if _still_away(report, lost_at) else now
            if now - lost_at > BACK_WITHIN_S:
                raise TimeoutError(f"no replica takes the call back: {error}") from error
            await asyncio.sleep(TRY_AGAIN_S)
            turn += 1
    return report


def _still_away(report: Call, lost_at: float) -> bool:
    newest = max(report.decided_at.values(), default=0.0)
    return lost_at > newest


async def _connect(
    http: aiohttp.ClientSession,
    url: str,
    pcm: Pcm16,
    opening: Event,
    report: Call,
    began: float,
    lost_at: float,
) -> None:
    async with http.ws_connect(f"{url}/v1/stream", heartbeat=HEARTBEAT_S) as socket:
        first = await _begin(socket, opening, report)
        if lost_at:
            report.resumed_s.append(time.monotonic() - lost_at)
        position = first.get("chunk", 0) * CHUNK_SAMPLES
        sending = asyncio.create_task(_send(socket, pcm, position, began))
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    report.note(json.loads(message.data))
                if sending.done() and (error := sending.exception()):
                    raise CutOff from error
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    if not report.closed:
        raise CutOff(f"{url} ended the connection with {socket.close_code}")


async def _begin(socket: aiohttp.ClientWebSocketResponse, opening: Event, report: Call) -> Event:
    """Open the session, or go on with it, and return the platform's first event."""
    if report.session_id:
        session = {
            "session_id": report.session_id,
            "resume_token": report.token,
            "last_event_id": report.last_event_id,
        }
        await socket.send_json({"type": "session.resume", "sessions": [session]})
    else:
        await socket.send_json({"type": "session.open", **opening})
    message = await asyncio.wait_for(socket.receive(), BACK_WITHIN_S)
    if message.type is not aiohttp.WSMsgType.TEXT:
        raise CutOff(f"no first event: {message.type.name}")
    first: Event = json.loads(message.data)
    report.note(first)
    if first["type"] not in ("session.opened", "session.resumed"):
        raise CutOff(f"{first['type']}: {first.get('message')}")
    return first


async def _send(
    socket: aiohttp.ClientWebSocketResponse, pcm: Pcm16, position: int, began: float
) -> None:
    """Send from `position` on: what is due at once, the rest as it would be heard."""
    for start in range(position, len(pcm), FRAME_SAMPLES):
        due = began + (start + FRAME_SAMPLES) / SAMPLE_RATE_HZ
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await socket.send_bytes(pcm[start : start + FRAME_SAMPLES].tobytes())
    await socket.send_json({"type": "audio.end"})
