"""What the decoder in this process has counted, as a metric; one in Triton tells its own."""

import asyncio
from collections import Counter
from typing import Any

from services.core import metrics
from soundflow.engine import Engine

TELL_EVERY_S = 1.0


async def tell_events(engine: Engine[Any]) -> None:
    """Add to the metric what has been counted since, again and again, until cancelled."""
    told: Counter[str] = Counter()
    while True:
        await asyncio.sleep(TELL_EVERY_S)
        new = Counter(engine.counts) - told
        for event, times in new.items():
            metrics.DECODER_EVENTS.labels(event).inc(times)
        told += new
