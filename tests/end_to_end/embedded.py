"""The platform in one process, as `soundflow serve` runs it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from services.core.events import CallerEvent
from services.embedded import Platform
from services.transport.memory import MemoryTopic
from services.transport.port import Topic
from tests.end_to_end.watched import Watched


@dataclass(frozen=True, slots=True)
class Embedded:
    """What tests may know of it beside what callers are told."""

    platform: Platform

    async def held(self) -> Mapping[str, int]:
        """Return how many sessions each part keeps something of."""
        return {
            "ingestion": self.platform.ingestion.open_sessions,
            "perception": len(self.platform.perception.carried),
            "decision": len(self.platform.decision.placement),
            "engine": len(self.platform.engine._sessions),
            "response": len(self.platform.response._sessions),
        }

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Watched]:
        """Follow every topic as a consumer group of its own."""
        watched, platform = Watched(), self.platform
        topics: list[tuple[Topic[Any], list[Any]]] = [
            (platform.ingestion.audio, watched.audio),
            (platform.perception.features, watched.features),
            (platform.decision.decisions, watched.decisions),
            (platform.ingestion.sessions, watched.sessions),
            (platform.response.responses, watched.responses),
        ]
        for topic, _ in topics:
            assert isinstance(topic, MemoryTopic)
            topic.add_group("watching")
        tasks = [asyncio.create_task(_keep(topic, seen)) for topic, seen in topics]
        yield watched
        for task in tasks:
            task.cancel()


async def _keep(topic: Topic[Any], seen: list[Any]) -> None:
    async for received in topic.subscribe("watching"):
        message = received.message
        if isinstance(message, CallerEvent):
            message = replace(message, id=len(seen) + 1)
        seen.append(message)
        received.done()
