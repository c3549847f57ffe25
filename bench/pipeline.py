"""What the platform costs without a model, on real Kafka, Redis and Triton: `make bench-pipeline`.

Steady callers at real time: first so many as are asked for, then as many as one machine holds.
For each number of sessions: how long decisions take, and the processor time of every part.
"""

import dataclasses
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import psutil
import typer
from rich.console import Console
from rich.table import Table

from bench.counted import timed
from bench.profiles import profile
from bench.steady import Seen, Window, hold
from bench.usage import Usage, usage
from stack.parts import Parts
from stack.platform import Platform
from stack.settings import StackSettings

MOST_SESSIONS = 5000
OPENS_PER_S = 50
STARTS_WITHIN_S = 3.0  # a generator's process, before its first caller
P50_GOAL_MS, P99_GOAL_MS, P99_LIMIT_MS = 10.0, 30.0, 100.0
LATE_SHARE = 0.01  # of frames; above, the generator itself could not keep up
FINEST_STEP = 25
SHOWN_FUNCTIONS = 12

WIDTH = 140  # also where it is not a terminal

console = Console(stderr=True, width=WIDTH)


@dataclass(frozen=True, slots=True)
class Round:
    """One number of sessions.

    cpu_s: of each part in the measured time; machine_s: of all. stages: how often each thing was
    timed by a service, and for how long in all.
    """

    sessions: int
    seconds: float
    seen: Seen
    cpu_s: Mapping[str, float]
    machine_s: float
    stages: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def keeps_up(self) -> bool:
        """Whether decisions came in time to callers who sent in time, and all of them."""
        return self.seen.clean and self.caller_ms(99) <= P99_LIMIT_MS

    @property
    def late_share(self) -> float:
        """How many frames left late."""
        return self.seen.late / max(1, self.seen.chunks)

    @property
    def cores(self) -> float:
        """How many processor cores the platform and its callers used."""
        return (sum(self.cpu_s.values()) + self.seen.cpu_s) / self.seconds

    @property
    def others_cores(self) -> float:
        """How many all other programs used: with much of that, times say little."""
        return self.machine_s / self.seconds - self.cores

    def caller_ms(self, percent: float) -> float:
        """Return a percentile of what callers waited."""
        return _percentile(self.seen.caller_ms, percent)

    def platform_ms(self, percent: float) -> float:
        """Return a percentile of what the platform says of itself."""
        return _percentile(self.seen.platform_ms, percent)

    def us_per_chunk(self, cpu_s: float) -> float:
        """Return processor time as microseconds for each chunk."""
        return cpu_s * 1e6 / max(1, self.seen.chunks)


@dataclass(frozen=True, slots=True)
class Bench:
    """A running platform and how it is measured."""

    platform: Platform
    seconds: float
    warm_up_s: float
    generators: int

    def measure(self, sessions: int) -> Round:
        """Hold so many sessions, and measure them once they are warm."""
        window = self.window(sessions)
        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(hold, self.urls, sessions, window, self.generators)
            _sleep_until(window.begins_s)
            stages = timed(self.platform)
            before, busy_s = usage(self.platform), _busy_s()
            _sleep_until(window.ends_s)
            after, machine_s = usage(self.platform), _busy_s() - busy_s
            stages = _since(stages, timed(self.platform))
            seen = held.result()
        cpu_s = {name: after[name].cpu_s - before.get(name, _NOTHING).cpu_s for name in after}
        return Round(sessions, self.seconds, seen, cpu_s, machine_s, stages)

    def profile(self, sessions: int, folder: Path) -> Mapping[str, Counter[str]]:
        """Hold so many sessions, and sample what each Python process does."""
        window = self.window(sessions)
        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(hold, self.urls, sessions, window, self.generators)
            _sleep_until(window.begins_s)
            sampled = profile(self.platform, folder, self.seconds)
            held.result()
        return sampled

    def window(self, sessions: int) -> Window:
        """Return the times of a round that begins now."""
        opens_s = time.monotonic() + STARTS_WITHIN_S
        begins_s = opens_s + sessions / OPENS_PER_S + self.warm_up_s
        return Window(opens_s, 1 / OPENS_PER_S, begins_s, begins_s + self.seconds)

    @property
    def urls(self) -> Sequence[str]:
        """Where callers go."""
        settings = self.platform.settings
        ports = (settings.ports[name]["http"] for name in settings.names("ingestion"))
        return [f"ws://127.0.0.1:{port}" for port in ports]


_NOTHING = Usage(0, 0, 0, 0)


def search(bench: Bench, first: Round) -> Iterator[Round]:
    """Measure more sessions, until the largest number that keeps up is known well enough."""
    low, high = (first.sessions, 0) if first.keeps_up else (0, first.sessions)
    while not high or high - low > max(FINEST_STEP, low // 10):
        sessions = low * 2 if not high else (low + high) // 2
        one = bench.measure(sessions)
        console.print(latencies([one]))
        yield one
        low, high = (sessions, high) if one.keeps_up else (low, sessions)


def latencies(rounds: Sequence[Round]) -> Table:
    """Return what callers noticed, a row for each round."""
    columns = (
        "sessions", "p50 ms", "p99 ms", "caller p50", "caller p99", "chunks", "turns", "lost",
        "twice", "failed", "late frames", "cores", "others'",
    )  # fmt: skip
    table = Table(*columns, box=None)
    for one in rounds:
        seen = one.seen
        values = (one.platform_ms(50), one.platform_ms(99), one.caller_ms(50), one.caller_ms(99))
        counts = (seen.chunks, seen.turns, seen.undecided, seen.repeated, len(seen.failed))
        table.add_row(
            str(one.sessions),
            *(f"{value:.1f}" for value in values),
            *map(str, counts),
            f"{one.late_share:.1%}",
            f"{one.cores:.2f}",
            f"{one.others_cores:.2f}",
        )
    return table


def costs(rounds: Sequence[Round]) -> Table:
    """Return the processor time of every part, in microseconds for each chunk."""
    table = Table("µs of processor time a chunk", *(f"{one.sessions}" for one in rounds), box=None)
    for name in rounds[0].cpu_s:
        shares = (one.us_per_chunk(one.cpu_s[name]) for one in rounds)
        table.add_row(name, *(f"{share:.0f}" for share in shares))
    table.add_row("callers", *(f"{one.us_per_chunk(one.seen.cpu_s):.0f}" for one in rounds))
    whole = (one.us_per_chunk(sum(one.cpu_s.values()) + one.seen.cpu_s) for one in rounds)
    table.add_row("all", *(f"{share:.0f}" for share in whole))
    return table


def delays(rounds: Sequence[Round]) -> Table:
    """Return how long each thing took that a service times, and how often it was for a chunk."""
    table = Table(
        "mean ms, and how often a chunk", *(f"{one.sessions}" for one in rounds), box=None
    )
    for name in sorted(
        {name for one in rounds for name, (count, _) in one.stages.items() if count}
    ):
        table.add_row(name, *(_delay(one, name) for one in rounds))
    return table


def _delay(one: Round, name: str) -> str:
    count, seconds = one.stages.get(name, (0.0, 0.0))
    return f"{seconds / count * 1000:.1f}, {count / one.seen.chunks:.2f}" if count else ""


def functions(sampled: Mapping[str, Counter[str]]) -> Iterator[Table]:
    """Yield, for each part, the functions in which most of its time is spent."""
    for name, counted in sampled.items():
        table = Table(name, "share", box=None)
        for function, count in counted.most_common(SHOWN_FUNCTIONS):
            table.add_row(function, f"{count / counted.total():.1%}")
        yield table


def _percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else float("inf")


def _since(
    before: Mapping[str, tuple[float, float]], after: Mapping[str, tuple[float, float]]
) -> Mapping[str, tuple[float, float]]:
    began = {name: before.get(name, (0.0, 0.0)) for name in after}
    return {name: (c - began[name][0], s - began[name][1]) for name, (c, s) in after.items()}


def _busy_s() -> float:
    times = psutil.cpu_times()
    busy_s: float = times.user + times.nice + times.system + times.irq + times.softirq
    return busy_s


def _sleep_until(at_s: float) -> None:
    time.sleep(max(0.0, at_s - time.monotonic()))


def main(
    sessions: Annotated[int, typer.Option(help="Sessions to measure first.")] = 100,
    seconds: Annotated[float, typer.Option(help="Measured, of each round.")] = 20,
    warm_up_s: Annotated[float, typer.Option(help="After the last session has opened.")] = 5,
    heat_s: Annotated[float, typer.Option(help="Load before the first round, unmeasured.")] = 30,
    generators: Annotated[int, typer.Option(help="Processes that hold the callers.")] = 1,
    replicas: Annotated[int, typer.Option(help="Of each service.")] = 1,
    servers: Annotated[int, typer.Option(help="Tritons of each model.")] = 1,
    most: Annotated[bool, typer.Option(help="Find out how many sessions are too many.")] = True,
    profile_to: Annotated[Path | None, typer.Option("--profile", help="Sample to here.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Keep data and logs here.")] = None,
) -> None:
    """Measure the platform around the null model, and print where its time goes."""
    os.environ["SOUNDFLOW_MAX_SESSIONS"] = os.environ["SOUNDFLOW_CAPACITY"] = str(MOST_SESSIONS)
    with TemporaryDirectory(prefix="soundflow-pipeline-") as temporary:
        settings = dataclasses.replace(
            StackSettings(),
            folder=folder or Path(temporary),
            model="null",
            replicas=replicas,
            encoders=servers,
            decoders=servers,
        )
        platform = Platform(Parts(settings.on_free_ports()))
        platform.up(lambda line: console.print(line, style="dim"))
        try:
            bench = Bench(platform, seconds, warm_up_s, generators)
            if heat_s:  # Java compiles what is called often, at first
                dataclasses.replace(bench, seconds=heat_s).measure(sessions)
            rounds = [bench.measure(sessions)]
            console.print(latencies(rounds), costs(rounds))
            if profile_to:
                console.print(*functions(bench.profile(sessions, profile_to)))
            if most:
                rounds += search(bench, rounds[0])
        finally:
            platform.down()
    _conclude(sorted(rounds, key=lambda one: one.sessions), rounds[0], most=most)


def _conclude(rounds: Sequence[Round], first: Round, *, most: bool) -> None:
    out = Console(width=WIDTH)
    out.print(latencies(rounds), "", costs(rounds), "", delays(rounds), "")
    good = first.platform_ms(50) <= P50_GOAL_MS and first.platform_ms(99) <= P99_GOAL_MS
    out.print(
        f"{first.sessions} sessions: p50 {first.platform_ms(50):.1f} ms (goal {P50_GOAL_MS:g}), "
        f"p99 {first.platform_ms(99):.1f} ms (goal {P99_GOAL_MS:g})"
    )
    if most:
        kept = max((one.sessions for one in rounds if one.keeps_up), default=0)
        missed = min((one.sessions for one in rounds if not one.keeps_up), default=0)
        out.print(f"callers' p99 is within {P99_LIMIT_MS:g} ms at {kept} sessions, not at {missed}")
    if any(one.late_share > LATE_SHARE for one in rounds):
        out.print("where frames left late, the callers themselves lacked processor time")
    sys.exit(0 if good and first.seen.clean else 1)


if __name__ == "__main__":
    typer.run(main)
