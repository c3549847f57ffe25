"""All four services in one process: the same code as on a cluster, with in-process ports."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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


@asynccontextmanager
async def run_platform(model: Model, config: IngestionConfig) -> AsyncIterator[IngestionService]:
    """Run the four services until the context is left; then close what is open.

    An error of a service ends the context with that error.
    """
    audio = MemoryTopic[AudioMessage](groups=["perception"])
    features = MemoryTopic[FeaturesMessage](groups=["decision"])
    decisions = MemoryTopic[DecisionMessage](groups=["response"])
    sessions = MemoryTopic[SessionMessage](groups=["perception", "decision", "response"])
    responses = MemoryTopic[CallerEvent](groups=[])  # the record, which one process does not keep
    store = MemorySessionStore()
    encoder = LocalEncoder(model.encoder)
    engine = Engine(model.decoder)
    ingestion = IngestionService(audio, sessions, store, engine.info, config)
    perception = PerceptionService(audio, sessions, features, encoder)
    decision = DecisionService(features, sessions, decisions, store, engine)
    response = ResponseService(decisions, sessions, responses, store, engine, ingestion)
    async with asyncio.TaskGroup() as group:
        running = [
            group.create_task(part.run()) for part in (engine, perception, decision, response)
        ]
        try:
            yield ingestion
        finally:
            await ingestion.close_all(CloseReason.SHUTDOWN)
            for task in running:
                task.cancel()
            encoder.close()
