"""What one forward for all sessions brings: 64 small sessions at once against one at a time.

Twice: the language model alone, each session with one block of 13 positions, and the whole engine,
where sessions hear and now and then reply. The same sessions, at the same length, in turn the one
way and the other, in processor time on one thread, which what else runs on the machine disturbs
least; large products share several threads better than small ones, so that more threads favour
together. Writes `bench/results/engine_batch.json`.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable
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
class Compared:
    """One thing done both ways, several times. Milliseconds of processor a chunk of a session."""

    what: str
    vocabulary: int
    together_ms: list[float]
    one_by_one_ms: list[float]

    @property
    def ratio(self) -> float:
        """How many times as fast together is: the median of neighbouring rounds."""
        pairs = zip(self.one_by_one_ms, self.together_ms, strict=True)
        return median(alone / together for alone, together in pairs)


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

    def timed(way: Callable[[], None]) -> float:
        began_s = time.process_time()
        way()
        took_ms = (time.process_time() - began_s) * 1000 / sessions
        for lane in lanes:
            lane.truncate(LENGTH)
        return took_ms

    timed(together), timed(one_by_one)
    both = [(timed(together), timed(one_by_one)) for _ in range(rounds)]
    return Compared("model", model.config.vocabulary, *map(list, zip(*both, strict=True)))


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
    both: list[tuple[float, float]] = []
    for _ in range(rounds):
        took_ms = []
        for way in (crowd.together, crowd.one_by_one):
            began_s = time.process_time()
            for _ in range(CHUNKS_PER_ROUND):
                await way()
            took_s = time.process_time() - began_s
            took_ms.append(took_s * 1000 / CHUNKS_PER_ROUND / sessions)
        both.append((took_ms[0], took_ms[1]))
    running.cancel()
    return Compared("engine", model.config.vocabulary, *map(list, zip(*both, strict=True)))


def measure(sessions: int, rounds: int) -> list[Compared]:
    """Compare both, with the published vocabulary and with a small one."""
    compared = []
    for vocabulary in (PUBLISHED_VOCABULARY, SMALL_VOCABULARY):
        model = make_model(vocabulary)
        compared.append(compare_model(model, sessions, rounds))
        model.forget()
        compared.append(asyncio.run(compare_engine(model, sessions, rounds)))
    return compared


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=6, help="of 8 chunks of each session")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console()
    compared = measure(options.sessions, options.rounds)
    for one in compared:
        console.print(
            f"{one.what}, vocabulary {one.vocabulary:7}: together {median(one.together_ms):.2f} ms "
            f"a chunk and session, one by one {median(one.one_by_one_ms):.2f} ms: "
            f"{one.ratio:.1f} times as fast"
        )
    published = next(one for one in compared if one.what == "engine")
    console.print(f"goal {GOAL}: {'holds' if published.ratio >= GOAL else 'does NOT hold'}")
    RESULTS.mkdir(exist_ok=True)
    figures = vars(options) | {"compared": [asdict(one) | {"ratio": one.ratio} for one in compared]}
    (RESULTS / "engine_batch.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
