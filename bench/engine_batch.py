"""What one forward for all sessions brings: 64 small sessions at once against one at a time.

Twice: the language model alone, each session with one block of 13 positions, and the whole engine,
where sessions hear and now and then reply. The same sessions, at the same length, in turn the one
way and the other; on one thread, and on as many as there are cores, which large products share
better than small ones. Time as a caller sees it, and the processor's, which what else runs on the
machine disturbs less. Writes `bench/results/engine_batch.json`.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from rich.console import Console

from bench.scripted_model import CONTROL, letters
from bench.scripted_sessions import ScriptedSessions
from soundflow.engine import Engine
from soundflow.features import Features
from soundflow.interaction import SessionSpec
from soundflow.unified.config import DecoderConfig
from soundflow.unified.decoder import UnifiedDecoder
from soundflow.unified.pages import PagedCache
from soundflow.unified.session import UnifiedSession
from soundflow.unified.settings import BLOCK_POSITIONS, UnifiedSettings
from soundflow.unified.tokens import BLOCK_FRAMES

RESULTS = Path(__file__).parent / "results"
PUBLISHED_VOCABULARY = 151_936
SMALL_VOCABULARY = 8_192
LENGTH = 400  # positions that a session has when the model alone is measured: half a window
CHUNKS_PER_ROUND = 4
RESPOND_EVERY_CHUNKS = 10
TURN_TOKENS = 12
GOAL = 4.0


@dataclass(frozen=True, slots=True)
class Took:
    """Milliseconds a chunk of a session. processor_ms: of all threads."""

    wall_ms: float
    processor_ms: float


class Clock:
    """Says how long it is since it was made."""

    def __init__(self) -> None:
        self._wall_s, self._processor_s = time.perf_counter(), time.process_time()

    def took(self, chunks: int) -> Took:
        """Return it for each of so many chunks."""
        wall_s = time.perf_counter() - self._wall_s
        processor_s = time.process_time() - self._processor_s
        return Took(wall_s * 1000 / chunks, processor_s * 1000 / chunks)


@dataclass(frozen=True, slots=True)
class Compared:
    """One thing done both ways, several times."""

    what: str
    vocabulary: int
    threads: int
    together: list[Took]
    one_by_one: list[Took]

    @property
    def ratio(self) -> float:
        """How many times as fast together is: the median of neighbouring rounds."""
        return self._ratio(lambda took: took.wall_ms)

    @property
    def processor_ratio(self) -> float:
        """How many times as much of the processor one at a time takes."""
        return self._ratio(lambda took: took.processor_ms)

    def _ratio(self, ms: Callable[[Took], float]) -> float:
        pairs = zip(self.one_by_one, self.together, strict=True)
        return median(ms(alone) / ms(together) for alone, together in pairs)


def make_model(vocabulary: int) -> ScriptedSessions:
    """Make the model, the same every time."""
    torch.manual_seed(1)
    config = DecoderConfig(
        layers=4, width=256, heads=8, kv_heads=2, head_width=32, ffn=1024, vocabulary=vocabulary
    )
    return ScriptedSessions(config, TURN_TOKENS).eval().requires_grad_(False)


def compare_model(model: ScriptedSessions, sessions: int, rounds: int) -> Compared:
    """Extend all sessions by a block, in one call and in one for each."""
    length = UnifiedSettings().positions
    cache = PagedCache(model.config, sessions * -(-length // 16))
    lanes = [cache.lane() for _ in range(sessions)]
    blocks = torch.randn(sessions, 1 + BLOCK_POSITIONS, model.config.width)
    for lane in lanes:
        model.extend([(lane, torch.randn(LENGTH, model.config.width))])

    def together() -> None:
        model.extend(list(zip(lanes, blocks, strict=True)))

    def one_by_one() -> None:
        for lane, block in zip(lanes, blocks, strict=True):
            model.extend([(lane, block)])

    def timed(way: Callable[[], None]) -> Took:
        clock = Clock()
        way()
        took = clock.took(sessions)
        for lane in lanes:
            lane.truncate(LENGTH)
        return took

    timed(together), timed(one_by_one)
    both = [(timed(together), timed(one_by_one)) for _ in range(rounds)]
    return compared("model", model, both)


class Crowd:
    """Sessions of one engine, which hear together or one after the other."""

    def __init__(self, engine: Engine[UnifiedSession], sessions: int, width: int) -> None:
        self._engine, self._width = engine, width
        self._names = [f"session-{number}" for number in range(sessions)]
        self._random = np.random.default_rng(1)
        self._heard = 0

    async def open(self) -> None:
        """Begin."""
        for name in self._names:
            await self._engine.open(name, SessionSpec())

    async def together(self) -> None:
        """Let all hear a chunk at once, and say what they want to."""
        await asyncio.gather(*(self._hear(name) for name in self._names))
        self._heard += 1

    async def one_by_one(self) -> None:
        """Let each hear a chunk when the one before is done."""
        for name in self._names:
            await self._hear(name)
        self._heard += 1

    async def _hear(self, name: str) -> None:
        frames = self._random.standard_normal((BLOCK_FRAMES, self._width), np.float32)
        heard = await self._engine.hear(Features(name, self._heard, {"frames": frames}))
        for turn in heard.decision.turns:
            async for _ in self._engine.speak(name, turn.turn):
                pass


async def compare_engine(model: ScriptedSessions, sessions: int, rounds: int) -> Compared:
    """Let sessions live, some chunks the one way, some the other."""
    # Not all in the same chunk: what they say in a step is then as mixed as in life.
    model.responds = lambda session, block: (session + block) % RESPOND_EVERY_CHUNKS == 0
    settings = UnifiedSettings()
    cache = PagedCache(model.config, sessions * -(-settings.positions // 16))
    engine = Engine(UnifiedDecoder(model, cache, CONTROL, letters(), settings))
    running = asyncio.create_task(engine.run())
    crowd = Crowd(engine, sessions, model.config.width)
    await crowd.open()
    await crowd.together()
    both: list[tuple[Took, Took]] = []
    for _ in range(rounds):
        took = []
        for way in (crowd.together, crowd.one_by_one):
            clock = Clock()
            for _ in range(CHUNKS_PER_ROUND):
                await way()
            took.append(clock.took(CHUNKS_PER_ROUND * sessions))
        both.append((took[0], took[1]))
    running.cancel()
    return compared("engine", model, both)


def compared(what: str, model: ScriptedSessions, both: list[tuple[Took, Took]]) -> Compared:
    """Say what was compared. both: together and one by one, a round each."""
    together, one_by_one = map(list, zip(*both, strict=True))
    return Compared(what, model.config.vocabulary, torch.get_num_threads(), together, one_by_one)


def measure(sessions: int, rounds: int) -> Iterator[Compared]:
    """Compare both, with the published vocabulary and with a small one."""
    for vocabulary in (PUBLISHED_VOCABULARY, SMALL_VOCABULARY):
        for threads in sorted({1, os.cpu_count() or 1}):
            torch.set_num_threads(threads)
            model = make_model(vocabulary)
            yield compare_model(model, sessions, rounds)
            model.forget()
            yield asyncio.run(compare_engine(model, sessions, rounds))


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=6, help="of 8 chunks of each session")
    options = parser.parse_args()
    console = Console()
    all_compared = []
    for one in measure(options.sessions, options.rounds):
        console.print(
            f"{one.what}, vocabulary {one.vocabulary:7}, threads {one.threads}: together "
            f"{median(took.wall_ms for took in one.together):.2f} ms a chunk and session, one by "
            f"one {median(took.wall_ms for took in one.one_by_one):.2f} ms: {one.ratio:.1f} times "
            f"as fast, {one.processor_ratio:.1f} times in the processor's time"
        )
        all_compared.append(one)
    cores = os.cpu_count() or 1
    least = min(one.ratio for one in all_compared if one.threads == cores)
    holds = "holds" if least >= GOAL else "does NOT hold"
    console.print(f"goal {GOAL} on {cores} cores: {holds}, {least:.1f} the least")
    RESULTS.mkdir(exist_ok=True)
    figures = vars(options) | {
        "compared": [
            asdict(one) | {"ratio": one.ratio, "processor_ratio": one.processor_ratio}
            for one in all_compared
        ]
    }
    (RESULTS / "engine_batch.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
