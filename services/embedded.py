"""All four services in one process: the same code as on a cluster, with in-process ports."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

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
from soundflow.decoder import Decoder
from soundflow.encoder import Encoder
from soundflow.engine import Engine


@dataclass(frozen=True, slots=True)
class Model:
    """An encoder and a decoder that belong together."""

    encoder: Encoder[Any]
    decoder: Decoder[Any]


def load_model(name: str) -> Model:
    """Return the model of that name, its weights loaded. CheckpointError, ValueError."""
    loaders: dict[str, Callable[[], Model]] = {"cascade": _cascade, "null": _null}
    if name not in loaders:
        raise ValueError(f"there is no model {name!r}; choose one of {', '.join(sorted(loaders))}")
    return loaders[name]()


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
    services = [
        engine,
        PerceptionService(audio, sessions, features, encoder),
        DecisionService(features, sessions, decisions, store, engine),
        ResponseService(decisions, sessions, responses, store, engine, ingestion),
    ]
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(service.run()) for service in services]
        try:
            yield ingestion
        finally:
            await ingestion.close_all(CloseReason.SHUTDOWN)
            for task in running:
                task.cancel()
            encoder.close()


def _cascade() -> Model:
    from soundflow.cascade import load_cascade  # keeps start-up quick where another model runs

    return load_cascade()


def _null() -> Model:
    from soundflow.null import NullDecoder, NullEncoder

    return Model(NullEncoder(), NullDecoder())
