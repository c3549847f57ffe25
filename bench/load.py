"""A load generator: real audio, paced at real time, over many WebSocket sessions."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import aiohttp
import numpy as np
from numpy.typing import NDArray

from soundflow.audio import CHUNK_MS, CHUNK_SAMPLES, SAMPLE_RATE_HZ

FRAME_MS = 40  # what a microphone's client sends at once
FRAME_SAMPLES = SAMPLE_RATE_HZ * FRAME_MS // 1000

Pcm16 = NDArray[np.int16]


@dataclass(slots=True)
class SessionReport:
    """What one session saw.

    latencies_ms: from sending a chunk's last sample to receiving the decision that covers it.
    decided: the chunk of each decision, as they came.
    late_frames: frames that left more than FRAME_MS after their time: the generator's own lag.
    """

    chunks_sent: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    decided: list[int] = field(default_factory=list)
    finals: list[tuple[int, int]] = field(default_factory=list)
    turns: int = 0
    overruns: int = 0
    late_frames: int = 0
    errors: list[str] = field(default_factory=list)
    closed: str = ""

    @property
    def lost(self) -> int:
        """Chunks that no decision covers: every decision covers all up to its own chunk."""
        return max(0, self.chunks_sent - 1 - max(self.decided, default=-1))

    @property
    def twice(self) -> int:
        """Decisions that do not move on, and final texts that came again."""
        repeated = sum(later <= earlier for earlier, later in pairwise(self.decided))
        return repeated + len(self.finals) - len(set(self.finals))


async def drive(url: str, pcm: Pcm16, opening: dict[str, object]) -> SessionReport:
    """Stream `pcm` (16 kHz mono) at real time to `url`, and read every event."""
    report = SessionReport()
    sent_at: list[float] = []
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}/v1/stream") as socket:
        await socket.send_json({"type": "session.open", **opening})
        reader = asyncio.create_task(_read(socket, report, sent_at))
        await _send(socket, pcm, report, sent_at)
        # The platform's last chunk may hold no audio: it only ends the session.
        report.chunks_sent = len(pcm) // CHUNK_SAMPLES
        await asyncio.wait_for(reader, timeout=60)
    return report


async def drive_all(
    url: str, audio: Sequence[Pcm16], opening: dict[str, object]
) -> list[SessionReport]:
    """Drive one session for each recording, started evenly over one chunk's time."""

    async def later(position: int, pcm: Pcm16) -> SessionReport:
        await asyncio.sleep(position * CHUNK_MS / 1000 / len(audio))
        return await drive(url, pcm, opening)

    return await asyncio.gather(*(later(i, pcm) for i, pcm in enumerate(audio)))


def percentiles(reports: Sequence[SessionReport]) -> tuple[float, float, float]:
    """Return p50, p95 and p99 of all sessions' latencies, in milliseconds."""
    latencies = np.concatenate([report.latencies_ms for report in reports])
    p50, p95, p99 = np.percentile(latencies, [50, 95, 99])
    return float(p50), float(p95), float(p99)


async def _send(
    socket: aiohttp.ClientWebSocketResponse, pcm: Pcm16, report: SessionReport, sent_at: list[float]
) -> None:
    start = time.monotonic()
    for position in range(0, len(pcm), FRAME_SAMPLES):
        due = start + (position + FRAME_SAMPLES) / SAMPLE_RATE_HZ  # a frame exists once it is heard
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        report.late_frames += time.monotonic() - due > FRAME_MS / 1000
        end = position + FRAME_SAMPLES
        if end // CHUNK_SAMPLES > position // CHUNK_SAMPLES:
            sent_at.append(time.monotonic())
        await socket.send_bytes(pcm[position:end].tobytes())
    await socket.send_json({"type": "audio.end"})


async def _read(
    socket: aiohttp.ClientWebSocketResponse, report: SessionReport, sent_at: list[float]
) -> None:
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.TEXT:
            continue
        _note(json.loads(message.data), report, sent_at)


def _note(event: dict[str, object], report: SessionReport, sent_at: list[float]) -> None:
    match event:
        case {"type": "decision", "chunk": int(chunk)}:
            now = time.monotonic()
            first = max(report.decided, default=-1) + 1
            report.decided.append(chunk)
            report.latencies_ms += [(now - at) * 1000 for at in sent_at[first : chunk + 1]]
        case {"type": "response.started"}:
            report.turns += 1
        case {"type": "response.text", "final": True, "turn": int(turn), "sequence": int(sequence)}:
            report.finals.append((turn, sequence))
        case {"type": "overrun", "chunks": int(chunks)}:
            report.overruns += chunks
        case {"type": "error", "message": str(message)}:
            report.errors.append(message)
        case {"type": "session.closed", "reason": str(reason)}:
            report.closed = reason
