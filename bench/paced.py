"""Many live sessions of the unified model in this process, each closing a chunk every 400 ms.

Encoder and engine run as they do on the platform, on a thread each; nothing lies between them.
"""

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from services.inference.local import LocalEncoder
from soundflow.audio import CHUNK_MS, CHUNK_SAMPLES, Chunk
from soundflow.engine import Engine
from soundflow.engine_session import Heard
from soundflow.features import Features
from soundflow.interaction import SessionSpec
from soundflow.unified.decoder import UnifiedDecoder
from soundflow.unified.encoder import UnifiedEncoder
from soundflow.unified.session import UnifiedSession

CHUNK_S = CHUNK_MS / 1000
PATIENCE_S = 10.0  # a decision that takes longer never comes
GOLDEN = 0.618034  # spreads sessions evenly over a chunk's time, however many there are


@dataclass(slots=True)
class Seen:
    """What was seen of some sessions. decided_ms: from each chunk's close to its decision.

    counted_per_s: how fast the counter grew meanwhile, that `live` was given.
    """

    decided_ms: list[float] = field(default_factory=list)
    undecided: int = 0
    counted_per_s: float = 0.0

    @property
    def p50_ms(self) -> float:
        """The median."""
        return float(np.percentile(self.decided_ms, 50))

    @property
    def p95_ms(self) -> float:
        """What one chunk in twenty exceeds."""
        return float(np.percentile(self.decided_ms, 95))

    @property
    def missed(self) -> int:
        """How many chunks had no decision when the next one closed."""
        return self.undecided + sum(took_ms > CHUNK_MS for took_ms in self.decided_ms)


class Streams:
    """An encoder and an engine, and sessions that come and go; use `running`."""

    def __init__(self, encoder: UnifiedEncoder, engine: Engine[UnifiedSession]) -> None:
        self._encoder, self._engine = LocalEncoder(encoder), engine
        self._shape = encoder.tensors[0].shape
        random = np.random.default_rng(1)
        self._noise = random.uniform(-0.1, 0.1, (7, CHUNK_SAMPLES)).astype(np.float32)
        self._opened = 0

    @classmethod
    @asynccontextmanager
    async def running(
        cls, encoder: UnifiedEncoder, decoder: UnifiedDecoder
    ) -> AsyncIterator["Streams"]:
        """Run both while the block does."""
        engine = Engine(decoder)
        stepping = asyncio.create_task(engine.run())
        streams = cls(encoder, engine)
        await engine.started.wait()
        try:
            yield streams
        finally:
            streams._encoder.close()
            stepping.cancel()

    async def live(
        self,
        sessions: int,
        window_s: float,
        *,
        oldest_chunks: int,
        watched: Callable[[int], bool] = lambda number: True,
        counter: Callable[[], int] = lambda: 0,
    ) -> Seen:
        """Let so many new sessions live through a window; return what those watched see.

        Each has heard something before, at most `oldest_chunks`, so that they are of any age.
        """
        names = [f"{self._opened}-{number}" for number in range(sessions)]
        self._opened += 1
        ages = [1 + int(number * GOLDEN % 1 * oldest_chunks) for number in range(sessions)]
        for name, age in zip(names, ages, strict=True):
            await self._engine.open(name, SessionSpec())
            await self._grow(name, age)
        seen, of_no_interest = Seen(), Seen()
        counted, begins_s = counter(), time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number, (name, age) in enumerate(zip(names, ages, strict=True)):
                first_s = begins_s + (1 + number * GOLDEN % 1) * CHUNK_S
                to = seen if watched(number) else of_no_interest
                group.create_task(self._live_one(name, age, first_s, begins_s + window_s, to))
        seen.counted_per_s = (counter() - counted) / (time.monotonic() - begins_s)
        for name in names:
            await self._engine.close(name)
        return seen

    async def _grow(self, name: str, chunks: int) -> None:
        frames = np.random.default_rng(chunks).standard_normal((chunks, *self._shape), np.float32)
        for index, one in enumerate(frames):
            heard = self._engine.hear(Features(name, index, {"frames": one}))
        await heard

    async def _live_one(
        self, name: str, index: int, closes_s: float, ends_s: float, seen: Seen
    ) -> None:
        state = self._encoder.initial()
        waiting: list[asyncio.Future[Heard]] = []
        while closes_s < ends_s:
            await asyncio.sleep(max(0.0, closes_s - time.monotonic()))
            chunk = Chunk(name, index, self._noise[index % len(self._noise)])
            features, state = await self._encoder.encode(chunk, state)
            heard = self._engine.hear(features)
            heard.add_done_callback(functools.partial(_note, seen, closes_s))
            waiting.append(heard)
            index, closes_s = index + 1, closes_s + CHUNK_S
        _, undecided = await asyncio.wait(waiting, timeout=PATIENCE_S)
        seen.undecided += len(undecided)


def _note(seen: Seen, closed_s: float, heard: asyncio.Future[Heard]) -> None:
    if not heard.cancelled() and heard.exception() is None:
        seen.decided_ms.append((time.monotonic() - closed_s) * 1000)
