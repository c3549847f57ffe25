"""Ten thousand calls, many at once, over the whole platform: `make bench-churn`.

What a call leaves behind would show: in the memory and open files of each part, as keys in Redis,
as sessions in a decoder, or as messages that a consumer does not finish.
"""

import asyncio
import dataclasses
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import aiohttp
import numpy as np
import redis
import typer
from rich.console import Console
from rich.table import Table

from bench import heap
from bench.counted import counted
from bench.heap import Heap, WatchedParts, heaps
from bench.usage import Usage, usage
from services.transport.kafka.admin import topic_admin
from services.transport.kafka.config import KafkaConfig
from soundflow.audio import CHUNK_SAMPLES
from stack.platform import Platform
from stack.settings import StackSettings

CLOSED_KEPT_S = 5  # records of closed sessions; an hour in production
OF_NO_SESSION = b":seen"  # the end of the one key that stays: when leases were looked after
SETTLES_WITHIN_S = 60.0
ANSWERS_WITHIN_S = 60.0
MEBIBYTE = 1 << 20
# What a part may keep of a call: caches that have a limit are not full after so few calls, as
# pydantic's of 16,384 strings that it has read.
BYTES_PER_CALL = 256
# They keep what came in the last minutes or hours, in memory and in files; Java fills its heap.
GROW_BY_THEMSELVES = ("kafka", "prometheus")
# What comes and goes: a few connections, a heap that was collected a moment ago.
SPARE_BYTES = 8 * MEBIBYTE
SPARE_FILES = 8
WIDTH = 120

console = Console(stderr=True, width=WIDTH)


@dataclass(frozen=True, slots=True)
class Sample:
    """What there is after so many calls. kept: of what should be gone with its session."""

    calls: int
    parts: Mapping[str, Usage]
    kept: Mapping[str, float]
    heaps: Mapping[str, Heap] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grown:
    """One quantity before and after."""

    name: str
    before: float
    after: float
    allowed: float
    unit: str = ""

    @property
    def fine(self) -> bool:
        """Whether it did not grow."""
        return self.after - self.before <= self.allowed


async def churn(platform: Platform, calls: int, *, at_once: int, chunks: int) -> int:
    """Hold so many short calls, and return how many of them were not as they should be."""
    audio = np.asarray(1000 * np.sin(np.arange(chunks * CHUNK_SAMPLES) * 0.2), "<i2").tobytes()
    port = platform.settings.ports["ingestion-0"]["http"]
    waiting, wrong = iter(range(calls)), 0

    async def caller(http: aiohttp.ClientSession) -> None:
        nonlocal wrong
        for _ in waiting:
            try:
                async with asyncio.timeout(ANSWERS_WITHIN_S):
                    told = await _call(http, f"http://127.0.0.1:{port}/v1/stream", audio)
                wrong += told != chunks
            except (aiohttp.ClientError, TimeoutError, TypeError) as error:
                console.print(f"a call failed: {error!r}")
                wrong += 1

    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(caller(http))
    return wrong


async def _call(http: aiohttp.ClientSession, url: str, audio: bytes) -> int:
    """Hold one call, and return how many chunks of it were decided on; -1 where it failed."""
    decided = -1
    async with http.ws_connect(url) as socket:
        await socket.send_json({"type": "session.open"})
        await socket.send_bytes(audio)
        await socket.send_json({"type": "audio.end"})
        while True:
            event = await socket.receive_json()
            match event["type"]:
                case "decision":
                    decided = event["chunk"]
                case "error":
                    return -1
                case "session.closed":
                    return decided if event["reason"] == "complete" else -1


def settled(platform: Platform, calls: int) -> Sample:
    """Return what there is once nothing is under way any more, or does not become less."""
    deadline_s = time.monotonic() + SETTLES_WITHIN_S
    while any((kept := dict(_kept(platform))).values()) and time.monotonic() < deadline_s:
        time.sleep(1)
    return Sample(calls, usage(platform), kept, heaps(platform))


def _kept(platform: Platform) -> Iterator[tuple[str, float]]:
    with redis.Redis.from_url(platform.parts.redis.url) as client:
        keys = (key for key in client.scan_iter(count=1000) if not key.endswith(OF_NO_SESSION))
        yield "keys in Redis", float(sum(1 for _ in keys))
    yield "sessions at ingestion", counted(platform, "soundflow_sessions_open")
    yield "sessions held by services", counted(platform, "soundflow_sessions_held")
    yield "sessions in decoders", counted(platform, "soundflow_decoder_sessions")
    yield "calls in decoders", counted(platform, "soundflow_decoder_calls")
    yield "changes not written", counted(platform, "soundflow_redis_behind_changes")
    config = KafkaConfig(
        kafka_brokers=platform.parts.kafka.brokers, topic_prefix=platform.settings.prefix
    )
    with topic_admin(config) as admin:
        yield "messages not finished", float(sum(lag.lag for lag in admin.lag()))


def growth(before: Sample, after: Sample) -> Iterator[Grown]:
    """Compare two samples."""
    calls = after.calls - before.calls
    for name, was in before.parts.items():
        now = after.parts[name]
        allowed = (SPARE_BYTES + calls * BYTES_PER_CALL) / MEBIBYTE
        sizes = was.resident_bytes / MEBIBYTE, now.resident_bytes / MEBIBYTE
        if name not in GROW_BY_THEMSELVES:
            yield Grown(f"{name} memory", *sizes, allowed, "MiB")
            yield Grown(f"{name} files", was.files, now.files, SPARE_FILES)
        yield Grown(f"{name} threads", was.threads, now.threads, SPARE_FILES)
    for name, amount in before.kept.items():
        yield Grown(name, amount, after.kept[name], 0)


def table(grown: list[Grown], before: int, after: int) -> Table:
    """Return the comparison as a table."""
    shown = Table("", f"after {before}", f"after {after}", "may grow by", "", box=None)
    for one in grown:
        amounts = (f"{value:.0f} {one.unit}" for value in (one.before, one.after, one.allowed))
        shown.add_row(one.name, *amounts, "ok" if one.fine else "GROWS")
    return shown


def main(
    calls: Annotated[int, typer.Option(help="All together.")] = 10_000,
    warm_up: Annotated[int, typer.Option(help="Calls before the first sample.")] = 2_000,
    steps: Annotated[int, typer.Option(help="Samples after that.")] = 4,
    at_once: Annotated[int, typer.Option(help="Calls at the same time.")] = 20,
    chunks: Annotated[int, typer.Option(help="Of each call.")] = 6,
    folder: Annotated[Path | None, typer.Option(help="Keep data and logs here.")] = None,
) -> None:
    """Open and close sessions, and see whether anything grows."""
    os.environ["SOUNDFLOW_CLOSED_KEPT_S"] = str(CLOSED_KEPT_S)
    with TemporaryDirectory(prefix="soundflow-churn-") as temporary:
        settings = dataclasses.replace(
            StackSettings(), folder=folder or Path(temporary), model="null", encoders=1, decoders=1
        )
        platform = Platform(WatchedParts(settings.on_free_ports()))
        platform.up(lambda line: console.print(line, style="dim"))
        samples: list[Sample] = []
        wrong = 0
        try:
            for share in (warm_up, *[(calls - warm_up) // steps] * steps):
                began_s = time.monotonic()
                wrong += asyncio.run(churn(platform, share, at_once=at_once, chunks=chunks))
                rate = share / (time.monotonic() - began_s)
                done = share + (samples[-1].calls if samples else 0)
                samples.append(settled(platform, done))
                console.print(f"{done} calls, {rate:.0f} a second", style="dim")
        finally:
            platform.down()
    _conclude(samples, wrong)


def _conclude(samples: list[Sample], wrong: int) -> None:
    out = Console(width=WIDTH)
    parts = Table("MiB after calls", *(str(sample.calls) for sample in samples), box=None)
    for name in samples[0].parts:
        sizes = (sample.parts[name].resident_bytes / MEBIBYTE for sample in samples)
        parts.add_row(name, *(f"{size:.1f}" for size in sizes))
    grown = list(growth(samples[0], samples[-1]))
    out.print(parts, "", table(grown, samples[0].calls, samples[-1].calls), "")
    *_, before, after = samples
    out.print(heap.growth(before.heaps, after.heaps, after.calls - before.calls), "")
    clean = not wrong and all(one.fine for one in grown)
    out.print(f"{samples[-1].calls} calls, {wrong} of them not complete")
    out.print("nothing grows" if clean else "NOT CLEAN")
    sys.exit(0 if clean else 1)


if __name__ == "__main__":
    typer.run(main)
