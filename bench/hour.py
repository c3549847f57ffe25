"""What a chunk costs as a session grows old: the same minute of speech, sixty times, one session.

Every minute asks for the same work, so that a difference is the session's age and nothing else.
Prints the processor's time for each chunk, minute by minute, and the last against the second.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import psutil
import soundfile
from rich.console import Console

from bench.material import conversations
from services.core.events import CallerEvent, DecisionMade
from services.embedded import run_platform
from services.ingestion.config import IngestionConfig
from services.ingestion.tasks import run_task
from soundflow.audio import CHUNK_MS, SAMPLE_RATE_HZ
from soundflow.interaction import Ability, SessionSpec
from soundflow.models import load_model

MINUTE_S = 60
CHUNKS_PER_MINUTE = MINUTE_S * 1000 // CHUNK_MS
SPEC = SessionSpec(abilities=frozenset({Ability.TRANSCRIBE, Ability.PROACTIVE}))
AGREEMENT = 0.05


async def minute_costs(recording: Path, minutes: int) -> list[tuple[float, float]]:
    """Return, for each minute, milliseconds of processor a chunk, and resident MiB at its end."""
    costs: list[tuple[float, float]] = []
    process = psutil.Process()
    async with run_platform(load_model(), IngestionConfig()) as ingestion:
        started = time.process_time()
        async for told in run_task(ingestion, SPEC, recording):
            if not isinstance(told, CallerEvent) or not isinstance(told.event, DecisionMade):
                continue
            if (told.event.chunk + 1) % CHUNKS_PER_MINUTE == 0 and len(costs) < minutes:
                now = time.process_time()
                resident = process.memory_info().rss / (1 << 20)
                costs.append(((now - started) * 1000 / CHUNKS_PER_MINUTE, resident))
                started = now
    return costs


def main() -> None:
    """Make the recording, run it, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    minutes = parser.parse_args().minutes
    if minutes < 2:
        parser.error("the last minute is held against the second: give two or more")
    console = Console()
    minute = next(conversations(1, seconds=MINUTE_S))
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "hour.wav"
        with soundfile.SoundFile(recording, "w", SAMPLE_RATE_HZ, 1, "PCM_16") as file:
            for _ in range(minutes):
                file.write(minute)
        costs = asyncio.run(minute_costs(recording, minutes))
    for number, (cost_ms, resident) in enumerate(costs, start=1):
        console.print(f"minute {number:3}: {cost_ms:6.2f} ms a chunk, {resident:5.0f} MiB")
    change = costs[-1][0] / costs[1][0] - 1
    verdict = "holds" if abs(change) <= AGREEMENT else "does NOT hold"
    console.print(f"last minute against the second: {change:+.1%} (within 5 %: {verdict})")


if __name__ == "__main__":
    main()
