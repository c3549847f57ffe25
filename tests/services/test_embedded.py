"""The four services in one process: how they end together."""

import dataclasses

from services.embedded import Platform
from services.ingestion.config import IngestionConfig
from services.state.port import SessionRecord
from soundflow.interaction import SessionSpec
from soundflow.models import load_model


def heard(record: SessionRecord) -> SessionRecord:
    """Note progress, as decision does behind its work."""
    return dataclasses.replace(record, last_index=7)


async def test_what_waits_to_be_written_is_written_at_the_end() -> None:
    platform = Platform.of(load_model("null"), IngestionConfig())
    async with platform.running():
        await platform.records.store.create(SessionRecord("a", SessionSpec(), 0))
        written = platform.records.change("a", heard)
        assert not written.done()  # it is lazy
    assert written.done() and platform.records.waiting == 0
    assert (await platform.records.store.get("a")).last_index == 7
