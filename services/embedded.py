"""All four services in one process: the same code as on a cluster, with in-process ports."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from services.core.events import CallerEvent, CloseReason
from services.core.messages import AudioMessage, DecisionMessage, FeaturesMessage, SessionMessage
from services.decision.service import DecisionService
from services.inference.local import LocalEncoder
from services.ingestion.config import IngestionConfig
from services.ingestion.service import IngestionService
from services.perception.service import PerceptionService
from services.response.service import ResponseService
from services.state.memory import MemorySessionStore
from services.transport.memory import MemoryTopic
from soundflow.engine import Engine
from soundflow.models import Model


@dataclass(frozen=True, slots=True)
class Platform:
    """The four services and the engine, wired to each other."""

    ingestion: IngestionService
    perception: PerceptionService
    decision: DecisionService
    response: ResponseService
    encoder: LocalEncoder
    engine: Engine[Any]

    @classmethod
    def of(cls, model: Model, config: IngestionConfig) -> Self:
        """Wire the services around a model."""
        audio = MemoryTopic[AudioMessage](groups=["perception"])
        features = MemoryTopic[FeaturesMessage](groups=["decision"])
        decisions = MemoryTopic[DecisionMessage](groups=["response"])
        sessions = MemoryTopic[SessionMessage](groups=["perception", "decision", "response"])
        responses = MemoryTopic[CallerEvent](groups=[])  # the record, which one process lacks
        store = MemorySessionStore()
        encoder = LocalEncoder(model.encoder)
        engine = Engine(model.decoder)
        ingestion = IngestionService(audio, sessions, store, engine.info, config)
        return cls(
            ingestion,
            PerceptionService(audio, sessions, features, encoder),
            DecisionService(features, sessions, decisions, store, engine),
            ResponseService(decisions, sessions, responses, store, engine, ingestion),
            encoder,
            engine,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[IngestionService]:
        """Run all, the model warm, until the context is left; then close what is open.

        An error of a service ends the context with that error.
        """
        parts = (self.engine, self.perception, self.decision, self.response)
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(part.run()) for part in parts]
            try:
                await self.engine.started.wait()
                yield self.ingestion
            finally:
                await self.ingestion.close_all(CloseReason.SHUTDOWN)
                for task in running:
                    task.cancel()
                self.encoder.close()


def run_platform(
    model: Model, config: IngestionConfig
) -> AbstractAsyncContextManager[IngestionService]:
    """Run the four services until the context is left."""
    return Platform.of(model, config).running()
