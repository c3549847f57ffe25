"""Eight live sessions in one process for five minutes; then as many as keep the promise.

Starts a platform of its own and talks to it as callers do. Prints a table for each number of
sessions: latency from a chunk's last sample to the decision that covers it, what was lost or
answered twice, the processor's time, and the memory after the first minute and at the end.
"""

import argparse
import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
from rich.console import Console
from rich.table import Table

from bench.load import Pcm16, SessionReport, drive_all, percentiles
from bench.material import conversations
from bench.platform import running_platform
from soundflow.audio import CHUNK_MS

OPENING: dict[str, object] = {"abilities": ["transcribe", "proactive"], "source_language": "en"}
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Round:
    """One run with a number of sessions."""

    sessions: int
    reports: list[SessionReport]
    cpu_seconds: float
    wall_seconds: float
    resident_bytes: list[int]

    @property
    def p95_ms(self) -> float:
        """The figure that the promise is about."""
        return percentiles(self.reports)[1]

    @property
    def clean(self) -> bool:
        """Nothing lost, dropped, answered twice or refused."""
        return not any(r.lost or r.overruns or r.twice or r.errors for r in self.reports)


async def run_round(url: str, process: psutil.Process, audio: list[Pcm16]) -> Round:
    """Drive all sessions at once, and watch the platform's process."""
    resident: list[int] = []
    watch = asyncio.create_task(_watch(process, resident))
    before, started = process.cpu_times(), asyncio.get_running_loop().time()
    reports = await drive_all(url, audio, OPENING)
    after, ended = process.cpu_times(), asyncio.get_running_loop().time()
    watch.cancel()
    cpu = after.user + after.system - before.user - before.system
    return Round(len(audio), reports, cpu, ended - started, resident)


async def find_most(
    url: str, process: psutil.Process, *, seconds: float, start: int
) -> list[Round]:
    """Double, then halve the step, until the largest number within the promise is found."""
    rounds: list[Round] = []
    low, step, growing = start, start, True
    while step >= 1:
        audio = list(conversations(low + step, seconds=seconds))
        rounds.append(await run_round(url, process, audio))
        kept = rounds[-1].clean and rounds[-1].p95_ms <= CHUNK_MS
        low += step if kept else 0
        growing &= kept
        step = step * 2 if growing else step // 2
    return rounds


def show(console: Console, rounds: list[Round], title: str) -> None:
    """Print a row for each round."""
    table = Table(title=title)
    for heading in (
        "sessions", "p50 ms", "p95 ms", "p99 ms", "chunks", "lost", "dropped", "twice", "errors",
        "turns", "late frames", "CPU", "memory 1 min → end",
    ):  # fmt: skip
        table.add_column(heading, justify="right")
    for run in rounds:
        table.add_row(*_row(run))
    console.print(table)


def _row(run: Round) -> Iterator[str]:
    yield str(run.sessions)
    yield from (f"{value:.0f}" for value in percentiles(run.reports))
    for name in ("chunks_sent", "lost", "overruns", "twice"):
        yield str(sum(getattr(report, name) for report in run.reports))
    yield str(sum(len(report.errors) for report in run.reports))
    yield str(sum(report.turns for report in run.reports))
    yield str(sum(report.late_frames for report in run.reports))
    yield f"{run.cpu_seconds / run.wall_seconds:.2f}"
    first = run.resident_bytes[min(60, len(run.resident_bytes) - 1)]
    yield f"{first / MEBIBYTE:.0f} → {run.resident_bytes[-1] / MEBIBYTE:.0f} MiB"


async def _watch(process: psutil.Process, resident: list[int]) -> None:
    while True:
        resident.append(process.memory_info().rss)
        await asyncio.sleep(1)


async def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--model", default="cascade")
    parser.add_argument("--search-seconds", type=float, default=40, help="0 = no search")
    options = parser.parse_args()
    console = Console(width=160)
    with running_platform("--model", options.model, "--max-sessions", "1000") as platform:
        process = psutil.Process(platform.pid)
        audio = list(conversations(options.sessions, seconds=options.seconds))
        held = await run_round(platform.url, process, audio)
        show(console, [held], f"{options.sessions} sessions for {options.seconds:.0f} s")
        if not options.search_seconds:
            return
        found = await find_most(
            platform.url, process, seconds=options.search_seconds, start=options.sessions
        )
        show(console, found, "how many keep p95 within one chunk")
        kept = [r.sessions for r in (held, *found) if r.clean and r.p95_ms <= CHUNK_MS]
        console.print(
            f"largest number of sessions with p95 ≤ {CHUNK_MS} ms: {max(kept, default=0)}"
        )


if __name__ == "__main__":
    asyncio.run(main())
