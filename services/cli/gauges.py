"""How fast it goes: the latency of live audio, the speed of a finished file."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

MEASURED_DECISIONS = 250  # the last 100 s


class Gauge(Protocol):
    """A figure beside the timeline."""

    def decided(self, latency_ms: float) -> None:
        """Take note of a decision."""

    def reading(self, done_ms: int) -> str:
        """Say where the needle stands once `done_ms` of audio are done; "" before it can."""


@dataclass(slots=True)
class LatencyGauge:
    """From the close of a chunk to its decision."""

    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=MEASURED_DECISIONS))

    def decided(self, latency_ms: float) -> None:
        """Keep it."""
        self.latencies_ms.append(latency_ms)

    def reading(self, done_ms: int) -> str:
        """Give median and 95th percentile of the newest decisions."""
        if not self.latencies_ms:
            return ""
        p50, p95 = np.percentile(self.latencies_ms, (50, 95))
        return f"decided in p50 {p50:.0f} ms · p95 {p95:.0f} ms"


@dataclass(slots=True)
class SpeedGauge:
    """Seconds of audio a second: where all comes at once, a latency would say nothing."""

    now_s: Callable[[], float] = time.monotonic
    started_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.started_s = self.now_s()

    def decided(self, latency_ms: float) -> None:
        """Nothing to learn from it."""

    def reading(self, done_ms: int) -> str:
        """Give the mean since the start."""
        elapsed_s = self.now_s() - self.started_s
        return f"{done_ms / 1000 / elapsed_s:.1f} × real time" if done_ms and elapsed_s else ""
