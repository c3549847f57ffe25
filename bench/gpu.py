"""How many live sessions of the unified model one device holds: `make bench-gpu`.

On a GPU a model of the published 3B size with random weights in bfloat16; on a processor a small
one, to show that it runs. Writes `bench/results/gpu-<device>.json`.
"""

import argparse
import asyncio
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from rich.console import Console

from bench.paced import Seen, Streams
from bench.scripted_model import CONTROL, DECODER, ENCODER, letters
from bench.scripted_sessions import ScriptedSessions
from soundflow.audio import CHUNK_MS
from soundflow.unified.audio_tower import CHUNK_OUTPUTS, AudioTower, EncoderConfig
from soundflow.unified.config import DecoderConfig
from soundflow.unified.decoder import UnifiedDecoder
from soundflow.unified.encoder import UnifiedEncoder
from soundflow.unified.pages import PagedCache
from soundflow.unified.settings import BLOCK_POSITIONS, UnifiedSettings

RESULTS = Path(__file__).parent / "results"
PROMISE_MS = 200.0
SHORT_WINDOW_S = 8.0  # while searching; what it finds is confirmed over whole windows
IDLE_WINDOW_S = 10.0
SPEAKING_SHARE = 5  # one in so many
TURN_TOKENS = 64
PAGE_POSITIONS = 16
KV_SHARE = 0.85  # of the memory that is free once the weights are there
TOWER_POSITIONS = 2 * CHUNK_OUTPUTS  # inside the tower, before the pooling
CHUNK_POSITIONS = BLOCK_POSITIONS + 1  # a block, and the answer before it


@dataclass(frozen=True, slots=True)
class Scale:
    """What is built. cap: sessions at most, where memory does not say it."""

    encoder: EncoderConfig
    decoder: DecoderConfig
    dtype: torch.dtype
    product: int  # rows and columns of the product that measures the device
    cap: int


SMALL = Scale(ENCODER, replace(DECODER, max_positions=4096), torch.float32, 1024, cap=64)
PUBLISHED = Scale(EncoderConfig(), DecoderConfig(), torch.bfloat16, 8192, cap=4096)


@dataclass(frozen=True, slots=True)
class Report:
    """All figures. bound: what stopped the search: the promise, or memory."""

    device: str
    matrix_tflops: float
    chunk_gflop: float
    roofline_streams: float
    session_mib: float
    idle_p50_ms: float
    idle_p95_ms: float
    streams: int
    bound: str
    window_s: float
    window_p95_ms: float
    speaking_sessions: int
    tokens_per_s: float
    listeners_p95_ms: float

    @property
    def of_roofline(self) -> float:
        """The share of what arithmetic allows."""
        return self.streams / self.roofline_streams


class Bench:
    """A model on a device, and what is measured of it."""

    def __init__(self, scale: Scale, device: torch.device, cap: int | None) -> None:
        self._scale, self._device = scale, device
        self._settings = UnifiedSettings()
        default = torch.get_default_dtype()
        torch.set_default_dtype(scale.dtype)  # or 3B would first be made twice as large
        with device:
            tower = AudioTower(scale.encoder)
            self._model = ScriptedSessions(scale.decoder, TURN_TOKENS)
        torch.set_default_dtype(default)
        self._model.eval().requires_grad_(False)
        self._encoder = UnifiedEncoder(tower)
        self._chunk_flop = chunk_flop(tower, self._model)
        self.cap = cap or self._fitting()

    @property
    def session_bytes(self) -> int:
        """What the cache reserves for one session."""
        positions = -(-self._settings.positions // PAGE_POSITIONS) * PAGE_POSITIONS
        return positions * self._scale.decoder.position_values * self._scale.dtype.itemsize

    async def run(self, window_s: float, console: Console) -> Report:
        """Measure everything."""
        pages = self.cap * -(-self._settings.positions // PAGE_POSITIONS)
        cache = PagedCache(
            self._scale.decoder, pages, PAGE_POSITIONS, self._scale.dtype, self._device
        )
        decoder = UnifiedDecoder(self._model, cache, CONTROL, letters(), self._settings)
        matrix_flops = product_flops(self._scale, self._device)
        async with Streams.running(self._encoder, decoder) as streams:
            idle = await self._listen(streams, 1, min(IDLE_WINDOW_S, window_s))
            found, seen, bound = await self._search(streams, window_s, console)
            half = min(self.cap, max(SPEAKING_SHARE, found // 2))
            mixed = await self._speak(streams, half, window_s)
        return Report(
            str(self._device),
            matrix_flops / 1e12,
            self._chunk_flop / 1e9,
            matrix_flops * CHUNK_MS / 1000 / self._chunk_flop,
            self.session_bytes / (1 << 20),
            idle.p50_ms,
            idle.p95_ms,
            found,
            bound,
            window_s,
            seen.p95_ms,
            half,
            mixed.counted_per_s,
            mixed.p95_ms,
        )

    async def _search(
        self, streams: Streams, window_s: float, console: Console
    ) -> tuple[int, Seen, str]:
        """Find how many sessions keep the promise, first in short windows, then in a whole one."""
        kept, broken = 1, self.cap + 1
        short_s = min(SHORT_WINDOW_S, window_s)
        while broken - kept > max(1, kept // 16):
            tried = min(2 * kept, self.cap) if broken > self.cap else (kept + broken) // 2
            seen = await self._listen(streams, tried, short_s)
            console.print(_told(tried, seen), style="dim")
            if keeps(seen):
                kept = tried
            else:
                broken = tried
        bound = "memory" if broken > self.cap else "the promise"
        while not keeps(seen := await self._listen(streams, kept, window_s)) and kept > 1:
            console.print(_told(kept, seen), style="dim")
            kept, bound = max(1, kept * 9 // 10), "the promise"
        return kept, seen, bound

    async def _listen(self, streams: Streams, sessions: int, window_s: float) -> Seen:
        self._model.forget()
        self._model.responds = lambda session, block: False
        oldest = self._settings.window_chunks
        return await streams.live(sessions, window_s, oldest_chunks=oldest)

    async def _speak(self, streams: Streams, sessions: int, window_s: float) -> Seen:
        """Let one in five speak all the time; return what the others see, and tokens a second."""
        self._model.forget()
        self._model.responds = lambda session, block: session % SPEAKING_SHARE == 0
        return await streams.live(
            sessions,
            window_s,
            oldest_chunks=self._settings.window_chunks,
            watched=lambda number: number % SPEAKING_SHARE != 0,
            counter=lambda: self._model.said,
        )

    def _fitting(self) -> int:
        if self._device.type != "cuda":
            return self._scale.cap
        free, _ = torch.cuda.mem_get_info(self._device)
        return max(1, min(self._scale.cap, int(free * KV_SHARE) // self.session_bytes))


def keeps(seen: Seen) -> bool:
    """Whether every decision came before the next chunk closed, and 95 of 100 within 200 ms."""
    return not seen.missed and seen.p95_ms <= PROMISE_MS


def chunk_flop(tower: AudioTower, model: ScriptedSessions) -> float:
    """Return what one chunk takes: two operations for each weight and position."""
    tower_weights = sum(weight.numel() for weight in tower.parameters())
    weights = sum(weight.numel() for weight in model.parameters())
    weights -= model.embedding.weight.numel()  # looked up, not multiplied
    return 2.0 * (tower_weights * TOWER_POSITIONS + weights * CHUNK_POSITIONS)


def product_flops(scale: Scale, device: torch.device) -> float:
    """Return how many operations a second a large product reaches."""
    size = scale.product
    left, right = torch.randn(2, size, size, dtype=scale.dtype, device=device)
    best_s = float("inf")
    for _ in range(10):
        began_s = time.perf_counter()
        torch.mm(left, right)[0, 0].item()  # waits for the device
        best_s = min(best_s, time.perf_counter() - began_s)
    return 2.0 * size**3 / best_s


def _told(sessions: int, seen: Seen) -> str:
    return f"{sessions:5} sessions: p95 {seen.p95_ms:6.1f} ms, {seen.missed} ticks missed"


def lines(report: Report) -> list[str]:
    """Say it in words."""
    return [
        f"idle, from a chunk's close to its decision: p50 {report.idle_p50_ms:.1f} ms, "
        f"p95 {report.idle_p95_ms:.1f} ms",
        f"{report.streams} streams with p95 <= {PROMISE_MS:.0f} ms and no missed tick over "
        f"{report.window_s:.0f} s (p95 {report.window_p95_ms:.1f} ms); bounded by {report.bound}",
        f"{report.tokens_per_s:.0f} tokens a second while one in {SPEAKING_SHARE} of "
        f"{report.speaking_sessions} sessions speaks; the others' p95 "
        f"{report.listeners_p95_ms:.1f} ms",
        f"{report.session_mib:.1f} MiB of cache a session",
        f"a chunk takes {report.chunk_gflop:.3g} GFLOP; a large product reaches "
        f"{report.matrix_tflops:.3g} TFLOP/s, which is {report.roofline_streams:.0f} streams: "
        f"{report.of_roofline:.1%} of that",
    ]


def main() -> None:
    """Measure, write, print."""
    found = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", type=torch.device, default=found)
    parser.add_argument("--window-s", type=float, default=60.0)
    parser.add_argument("--sessions", type=int, help="try no more than that")
    options = parser.parse_args()
    console = Console(width=120)
    on_gpu = options.device.type == "cuda"
    torch.manual_seed(1)
    bench = Bench(PUBLISHED if on_gpu else SMALL, options.device, options.sessions)
    report = asyncio.run(bench.run(options.window_s, console))
    if not on_gpu:
        console.print("a small model on a processor: the figures say nothing of the published one")
    for line in lines(report):
        console.print(line)
    RESULTS.mkdir(exist_ok=True)
    figures = asdict(report) | {"of_roofline": report.of_roofline}
    path = RESULTS / f"gpu-{options.device.type}.json"
    path.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
