"""All four services in one process: the same code as on a cluster, with in-process ports."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from services.core.events import CallerEvent, CloseReason
from services.core.messages import AudioMessage, DecisionMessage, FeaturesMessage, SessionMessage
from services.decision.placement import Placement
from services.decision.service import DecisionService
from services.inference.events import tell_events
from services.inference.local import LocalDecoderPool, LocalEncoder
from services.ingestion.config import IngestionConfig
from services.ingestion.service import IngestionService
from services.perception.service import PerceptionService
from services.response.service import ResponseService
from services.state.behind import FLUSH_WITHIN_S, WriteBehind
from services.state.carried import MemoryCarriedStates
from services.state.memory import MemorySessionStore
from services.transport.memory import MemoryTopic
from soundflow.engine import Engine
from soundflow.models import Model

# What a caller who lost its connection finds when it is back: some minutes of a busy platform.
KEPT_RESPONSES = 20_000
# From the newest of these ingestion knows how much of a returning caller's audio it has.
KEPT_AUDIO = 256


@dataclass(frozen=True, slots=True)
class Platform:
    """The four services and the engine, wired to each other."""

    ingestion: IngestionService
    perception: PerceptionService
    decision: DecisionService
    response: ResponseService
    records: WriteBehind
    encoder: LocalEncoder
    engine: Engine[Any]

    @classmethod
    def of(cls, model: Model, config: IngestionConfig) -> Self:
        """Wire the services around a model, for no more sessions than it has room for."""
        if capacity := model.decoder.info.capacity:
            most = min(config.max_sessions, capacity)
            config = config.model_copy(update={"max_sessions": most})
        audio = MemoryTopic[AudioMessage](groups=["perception"], kept=KEPT_AUDIO)
        features = MemoryTopic[FeaturesMessage](groups=["decision"])
        decisions = MemoryTopic[DecisionMessage](groups=["response"])
        sessions = MemoryTopic[SessionMessage](groups=["perception", "decision", "response"])
        responses = MemoryTopic[CallerEvent](kept=KEPT_RESPONSES)
        store = MemorySessionStore()
        records = WriteBehind(store)
        encoder = LocalEncoder(model.encoder)
        engine = Engine(model.decoder)
        decoders = LocalDecoderPool(engine)
        ingestion = IngestionService(
            audio, sessions, store, records, engine.info, config, responses, audio
        )
        return cls(
            ingestion,
            PerceptionService(audio, sessions, features, encoder, MemoryCarriedStates()),
            DecisionService(
                features, sessions, decisions, records, Placement(store, decoders, features)
            ),
            ResponseService(decisions, sessions, responses, store, records, decoders, ingestion),
            records,
            encoder,
            engine,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[IngestionService]:
        """Run all, the model warm, until the context is left; then close what is open.

        An error of a service ends the context with that error.
        """
        parts = (self.engine, self.perception, self.decision, self.response, self.ingestion)
        try:
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(part.run()) for part in parts]
                running.append(group.create_task(tell_events(self.engine)))
                try:
                    await self.engine.started.wait()
                    yield self.ingestion
                finally:
                    await self.ingestion.close_all(CloseReason.SHUTDOWN)
                    for task in running:
                        task.cancel()
                    self.encoder.close()
        finally:
            await self.records.close(FLUSH_WITHIN_S)


def run_platform(
    model: Model, config: IngestionConfig
) -> AbstractAsyncContextManager[IngestionService]:
    """Run the four services until the context is left."""
    return Platform.of(model, config).running()
