import asyncio
from functools import partial

import pytest
from prometheus_client import REGISTRY

from services.inference import events
from services.inference.events import tell_events
from soundflow.engine import Engine
from tests.soundflow.scripted import ScriptedDecoder
from tests.waiting import until


def told(event: str) -> float:
    return REGISTRY.get_sample_value("soundflow_decoder_events_total", {"event": event}) or 0


def is_told(event: str, times: float) -> bool:
    return told(event) == times


async def test_what_a_decoder_counts_is_added_as_it_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "TELL_EVERY_S", 0.01)
    decoder = ScriptedDecoder()
    telling = asyncio.create_task(tell_events(Engine(decoder)))
    before = told("met a marten")
    for times in (2, 5):
        decoder.counts["met a marten"] = times
        await until(partial(is_told, "met a marten", before + times))
    telling.cancel()
    await asyncio.gather(telling, return_exceptions=True)
