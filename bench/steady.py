"""Many steady callers for little processor time: each sends one frame a chunk, in a few processes.

They share the machine with the platform that they measure, so what they cost is measured too.
"""

import asyncio
import itertools
import json
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from soundflow.audio import CHUNK_MS, CHUNK_SAMPLES

CHUNK_S = CHUNK_MS / 1000
LATE_S = 0.02  # a frame that leaves so much later than it should
END_WITHIN_S = 30.0
OPENING = json.dumps({"type": "session.open"}).encode()
ENDING = json.dumps({"type": "audio.end"}).encode()
# Spreads callers evenly over a chunk's time, however many there are.
GOLDEN = 0.618034


@dataclass(frozen=True, slots=True)
class Window:
    """When callers come, one after the other; what is measured of them; on the monotonic clock."""

    opens_s: float
    opens_every_s: float
    begins_s: float
    ends_s: float


@dataclass(slots=True)
class Seen:
    """What callers saw in the window.

    caller_ms: from sending a chunk to receiving the decision that covers it. platform_ms: from a
    chunk's arrival to its decision, as the platform says. late: frames that left too late.
    undecided: chunks of whole calls, in and out of the window, that no decision came for, or that
    were dropped unheard.
    repeated: decisions that do not move on. cpu_s: what the callers' own processes used.
    """

    caller_ms: list[float] = field(default_factory=list)
    platform_ms: list[float] = field(default_factory=list)
    chunks: int = 0
    late: int = 0
    turns: int = 0
    undecided: int = 0
    repeated: int = 0
    failed: list[str] = field(default_factory=list)
    cpu_s: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether no call failed, lost a chunk, or was told anything twice."""
        return not (self.failed or self.undecided or self.repeated)

    def add(self, other: "Seen") -> None:
        """Take in what other callers saw."""
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def hold(urls: Sequence[str], sessions: int, window: Window, processes: int) -> Seen:
    """Hold so many sessions at once, spread over the servers at `urls`, and say what they saw."""
    seen = Seen()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        shares = [range(first, sessions, processes) for first in range(processes)]
        for part in pool.map(_hold_share, *zip(*((urls, s, window) for s in shares), strict=True)):
            seen.add(part)
    return seen


def _hold_share(urls: Sequence[str], share: range, window: Window) -> Seen:
    seen = Seen()
    asyncio.run(_hold_all(urls, share, window, seen))
    return seen


async def _hold_all(urls: Sequence[str], share: range, window: Window, seen: Seen) -> None:
    watch = asyncio.create_task(_measure_cpu(window, seen))
    calls = (_hold_one(urls[place % len(urls)], place, window, seen) for place in share)
    for error in await asyncio.gather(*calls, return_exceptions=True):
        if error is not None:
            seen.failed.append(repr(error))
    await watch


async def _measure_cpu(window: Window, seen: Seen) -> None:
    await asyncio.sleep(max(0.0, window.begins_s - time.monotonic()))
    before_s = time.process_time()
    await asyncio.sleep(max(0.0, window.ends_s - time.monotonic()))
    seen.cpu_s = time.process_time() - before_s


async def _hold_one(url: str, place: int, window: Window, seen: Seen) -> None:
    """Hold one call. TimeoutError where the platform does not answer."""
    opens_s = window.opens_s + place * window.opens_every_s
    await asyncio.sleep(max(0.0, opens_s - time.monotonic()))
    transport, caller = await ws_connect(lambda: Caller(window, seen), f"{url}/v1/stream")
    assert isinstance(caller, Caller)
    try:
        await asyncio.wait_for(caller.opened, END_WITHIN_S)
        await _send(transport, caller, time.monotonic() + CHUNK_S * (1 + place * GOLDEN % 1))
        await asyncio.wait_for(caller.closed, END_WITHIN_S)
    finally:
        seen.undecided += len(caller.sent_s) - 1 - caller.decided
        transport.disconnect()


async def _send(transport: WSTransport, caller: "Caller", first_due_s: float) -> None:
    frame = _tone()
    for number in itertools.count():
        due_s = first_due_s + number * CHUNK_S
        if due_s > caller.window.ends_s or caller.closed.done():
            break
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        now_s = time.monotonic()
        caller.sent_s.append(now_s)
        transport.send(WSMsgType.BINARY, frame)
        if now_s >= caller.window.begins_s:
            caller.seen.chunks += 1
            caller.seen.late += now_s - due_s > LATE_S
    transport.send(WSMsgType.TEXT, ENDING)


class Caller(WSListener):
    """One session's connection. decided: the newest chunk that a decision covers."""

    def __init__(self, window: Window, seen: Seen) -> None:
        self.window = window
        self.seen = seen
        self.sent_s: list[float] = []
        self.decided = -1
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Open the session."""
        transport.send(WSMsgType.TEXT, OPENING)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take an event."""
        if frame.msg_type is WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.TEXT:
            self._note(json.loads(frame.get_payload_as_bytes()))

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Fail what still waits."""
        for waited in (self.opened, self.closed):
            if not waited.done():
                waited.set_exception(ConnectionError("the platform hung up"))
                waited.exception()  # nobody may ever ask

    def _note(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "decision":
                self._decide(event["chunk"], event["latency_ms"])
            case "overrun":
                self.seen.undecided += event["chunks"]
            case "response.started":
                self.seen.turns += time.monotonic() >= self.window.begins_s
            case "session.opened":
                self.opened.set_result(None)
            case "session.closed" if not self.closed.done():
                self.closed.set_result(None)
            case "error":
                self.seen.failed.append(f"{event['code']}: {event['message']}")

    def _decide(self, chunk: int, latency_ms: float) -> None:
        if chunk <= self.decided:
            self.seen.repeated += 1
            return
        now_s = time.monotonic()
        sent_s = [at_s for at_s in self.sent_s[self.decided + 1 : chunk + 1]]
        waited_ms = [(now_s - at_s) * 1000 for at_s in sent_s if at_s >= self.window.begins_s]
        # The chunk that ends a session may hold no audio, and was then not sent.
        self.decided = min(chunk, len(self.sent_s) - 1)
        self.seen.caller_ms += waited_ms
        if waited_ms:
            self.seen.platform_ms.append(latency_ms)


def _tone() -> bytes:
    """Return a chunk's audio."""
    return np.asarray(1000 * np.sin(np.arange(CHUNK_SAMPLES) * 0.2), "<i2").tobytes()
