"""What a chunk costs the unified model as a session grows old: eight hours of audio, sped up.

Real chunks through the encoder, the engine and the decoder, on a small model with random weights.
Every minute brings the same audio and as many turns, so that a difference is the session's age.
Beside it the published server's way, until a chunk costs ten times the audio that it holds. All on
one thread and in processor time, which others on the machine disturb least. Writes
`bench/results/hours.json` and draws `hours.svg`.
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import psutil
import torch
from rich.console import Console

from bench.chart import Chart, Line
from bench.encoder_rate import encoder_rates
from bench.published_way import published_costs
from bench.scripted_model import CONTROL, ScriptedModel, letters, scripted_model
from soundflow.audio import CHUNK_MS, CHUNK_SAMPLES, SAMPLE_RATE_HZ, Chunk
from soundflow.engine import Engine
from soundflow.frontend import Array
from soundflow.interaction import SessionSpec
from soundflow.unified.decoder import UnifiedDecoder
from soundflow.unified.encoder import UnifiedEncoder
from soundflow.unified.pages import PagedCache
from soundflow.unified.settings import UnifiedSettings

RESULTS = Path(__file__).parent / "results"
CHUNKS_PER_MINUTE = 60_000 // CHUNK_MS  # 150
RESPOND_EVERY_CHUNKS = 10
TURN_TOKENS = 12
PAGE_POSITIONS = 16
PAIRS_PER_HOUR = 6
AGREEMENT = 1.05
BEARABLE_MS = 10 * CHUNK_MS
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute of audio of one session.

    chunk_ms: processor time for each chunk, all turns included. chunk_positions: how many the
    language model was given for each. resident_mib, own_mib: the process's memory, and what of it
    no file backs, swapped out or not; on a full machine only the latter tells of growth.
    """

    number: int
    chunk_ms: float
    chunk_positions: float
    resident_mib: float
    own_mib: float


@dataclass(frozen=True, slots=True)
class Pair:
    """A minute of the old session, and another session's first, lived one right after the other."""

    old: Minute
    young: Minute


@dataclass(frozen=True, slots=True)
class Report:
    """All that was measured.

    pairs: of the last minutes of each hour. published: a session's age in seconds, and what a chunk
    costs then.
    """

    minutes: list[Minute]
    pairs: list[Pair]
    published: list[tuple[float, float]]
    encoder_chunks_per_s: dict[int, float]

    def figures(self) -> dict[str, float]:
        """Say what it comes to.

        The last hour's chunks against those of a first minute (the median of all that were lived),
        and against the tenth to the nineteenth minute: then everything that is bounded is full. As
        the machine has slower and faster minutes, also the median of the pairs.
        """
        last, full = self.minutes[-60:], self.minutes[9:19] or self.minutes[-1:]
        firsts = [self.minutes[0], *(pair.young for pair in self.pairs)]
        pairs = self.pairs or [Pair(self.minutes[-1], self.minutes[0])]
        return {
            "last_hour_to_first_minute": _ms(last) / _ms(firsts),
            "last_hour_to_minutes_10_to_19": _ms(last) / _ms(full),
            "old_to_young_side_by_side": median(p.old.chunk_ms / p.young.chunk_ms for p in pairs),
            "last_hour_to_first_positions": _positions(last) / _positions(firsts),
            "last_hour_to_full_positions": _positions(last) / _positions(full),
            "grown_mib_since_minute_10": self.minutes[-1].own_mib - full[0].own_mib,
        }


def one_minute() -> Array:
    """Make a minute of noise whose loudness and colour change from tenth to tenth of a second."""
    random = np.random.default_rng(1)
    tenths = 600
    noise = random.normal(0.0, 0.1, (tenths, SAMPLE_RATE_HZ // 10))
    loud = 10 ** random.uniform(-2.5, 0.0, (tenths, 1))
    return (loud * noise).clip(-1.0, 1.0).astype(np.float32).reshape(-1)


class Life:
    """One session, which hears the same minute again and again."""

    def __init__(
        self, name: str, encoder: UnifiedEncoder, model: ScriptedModel, engine: Engine[Any]
    ) -> None:
        self._name = name
        self._encoder, self._model, self._engine = encoder, model, engine
        self._state = encoder.initial()
        self._pieces = one_minute().reshape(-1, CHUNK_SAMPLES)
        self._lived = 0

    async def minute(self) -> Minute:
        """Live one more."""
        first = self._lived * CHUNKS_PER_MINUTE
        self._lived += 1
        positions, began_s = self._model.positions, time.process_time()
        for index, pcm in enumerate(self._pieces, start=first):
            await self._hear(Chunk(self._name, index, pcm))
        cost_ms = (time.process_time() - began_s) * 1000
        memory = psutil.Process().memory_full_info()
        return Minute(
            self._lived,
            chunk_ms=cost_ms / CHUNKS_PER_MINUTE,
            chunk_positions=(self._model.positions - positions) / CHUNKS_PER_MINUTE,
            resident_mib=memory.rss / MEBIBYTE,
            own_mib=(memory.rss - memory.shared + memory.swap) / MEBIBYTE,
        )

    async def _hear(self, chunk: Chunk) -> None:
        [(features, self._state)] = self._encoder.encode([(chunk, self._state)])
        last = RESPOND_EVERY_CHUNKS - 1
        self._model.respond = chunk.index % RESPOND_EVERY_CHUNKS == last
        heard = await self._engine.hear(features)
        for turn in heard.decision.turns:
            async for _ in self._engine.speak(self._name, turn.turn):
                pass


async def measure(minutes: int, console: Console) -> Report:
    """Run all of it; what there is after each hour is saved."""
    tower, model = scripted_model(TURN_TOKENS)
    encoder = UnifiedEncoder(tower)
    report = Report([], [], [], dict(encoder_rates(encoder)))
    for age_s, chunk_ms in published_costs(tower, model, one_minute(), BEARABLE_MS):
        report.published.append((age_s, chunk_ms))
        console.print(f"the published way at {age_s:5.0f} s: {chunk_ms:7.1f} ms a chunk")
    async for minute in live(encoder, model, minutes, report):
        if minute.number % 10 in (0, 1):
            console.print(_told(minute))
    save(report)
    return report


async def live(
    encoder: UnifiedEncoder, model: ScriptedModel, minutes: int, report: Report
) -> AsyncIterator[Minute]:
    """Live one long life, and at the end of each of its hours some first minutes of others."""
    settings = UnifiedSettings()
    cache = PagedCache(model.config, 2 * -(-settings.positions // PAGE_POSITIONS), PAGE_POSITIONS)
    engine = Engine(UnifiedDecoder(model, cache, CONTROL, letters(), settings))
    stepping = asyncio.create_task(engine.run())
    await engine.open("old", SessionSpec())
    old = Life("old", encoder, model, engine)
    for number in range(1, minutes + 1):
        report.minutes.append(await old.minute())
        yield report.minutes[-1]
        if -number % 60 < PAIRS_PER_HOUR:
            await engine.open(f"young-{number}", SessionSpec())
            young = await Life(f"young-{number}", encoder, model, engine).minute()
            await engine.close(f"young-{number}")
            report.pairs.append(Pair(report.minutes[-1], young))
        if number % 60 == 0:
            save(report)
    stepping.cancel()


def chart(report: Report) -> Chart:
    """Set out both ways."""
    ours = [(minute.number * 60.0, minute.chunk_ms) for minute in report.minutes]
    return Chart(
        title="Processor time for one chunk of 400 ms, by the session's age",
        x_name="age of the session",
        y_name="ms a chunk, one thread (tiny random model)",
        x_ticks=[
            (1, "1 s"),
            (10, "10 s"),
            (60, "1 min"),
            (600, "10 min"),
            (3600, "1 h"),
            (28800, "8 h"),
        ],
        y_ticks=[
            (1, "1"),
            (10, "10"),
            (100, "100"),
            (400, "400 (live)"),
            (1000, "1,000"),
            (10000, "10,000"),
        ],
        lines=[
            Line("SoundFlow", ours),
            Line("re-encoding all, growing cache (the published way)", report.published),
        ],
    )


def save(report: Report) -> None:
    """Write the numbers and the picture."""
    RESULTS.mkdir(exist_ok=True)
    figures = {"figures": report.figures()} | asdict(report)
    (RESULTS / "hours.json").write_text(json.dumps(figures, indent=1) + "\n")
    chart(report).write(RESULTS / "hours.svg")


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=8)
    minutes = max(1, round(parser.parse_args().hours * 60))
    torch.set_num_threads(1)
    console = Console()
    report = asyncio.run(measure(minutes, console))
    for name, figure in report.figures().items():
        console.print(f"{name.replace('_', ' ')}: {figure:.3f}")
    kept = report.figures()["last_hour_to_first_minute"] <= AGREEMENT
    console.print(f"at most {AGREEMENT} of a first minute: {'holds' if kept else 'does NOT hold'}")
    for size, rate in report.encoder_chunks_per_s.items():
        console.print(f"encoder, {size:2} sessions a pass: {rate:.0f} chunks a second")


def _ms(minutes: Sequence[Minute]) -> float:
    return median(minute.chunk_ms for minute in minutes)


def _positions(minutes: Sequence[Minute]) -> float:
    return mean(minute.chunk_positions for minute in minutes)


def _told(minute: Minute) -> str:
    return (
        f"minute {minute.number:3}: {minute.chunk_ms:6.2f} ms and {minute.chunk_positions:.1f} "
        f"positions a chunk, {minute.own_mib:.1f} MiB of {minute.resident_mib:.1f}"
    )


if __name__ == "__main__":
    main()
