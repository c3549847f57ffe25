"""The decision service around the real engine and the null model."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np

from services.core.messages import DecisionMessage, FeaturesMessage, SessionChange, SessionMessage
from services.decision.placement import Placement
from services.decision.service import DecisionService
from services.state.behind import WriteBehind
from services.state.memory import MemorySessionStore
from services.state.port import SessionRecord
from services.transport.memory import MemoryTopic
from soundflow.engine import Engine
from soundflow.features import Features
from soundflow.interaction import SessionSpec
from soundflow.null import NullState
from tests.services.decision.replicas import Replicas
from tests.waiting import DEADLINE_S


@dataclass
class Rig:
    service: DecisionService
    engine: Engine[NullState]
    store: MemorySessionStore
    features: MemoryTopic[FeaturesMessage]
    sessions: MemoryTopic[SessionMessage]
    decisions: MemoryTopic[DecisionMessage]
    replicas: Replicas

    async def keep_record(self, session_id: str) -> None:
        await self.store.create(SessionRecord(session_id, SessionSpec("listen"), 0))

    async def send(
        self,
        session_id: str,
        index: int,
        *,
        last: bool = False,
        version: int = 0,
        captured_unix_us: int | None = None,
    ) -> None:
        level = {"level": np.zeros(1, np.float32)}
        features = Features(session_id, index, level, last, version)
        captured = 1000 + index if captured_unix_us is None else captured_unix_us
        await self.features.send(FeaturesMessage(features, captured))

    async def change(self, session_id: str, change: SessionChange) -> None:
        await self.sessions.send(SessionMessage(session_id, 0, change))

    async def decided_up_to(self, session_id: str, index: int) -> list[DecisionMessage]:
        messages: list[DecisionMessage] = []
        topic = self.decisions.subscribe("test")
        async with asyncio.timeout(DEADLINE_S):
            while not messages or messages[-1].decision.index < index:
                message = (await anext(topic)).message
                assert message.session_id == session_id
                messages.append(message)
        return messages

    async def announced(self, change: SessionChange) -> SessionMessage:
        async with asyncio.timeout(DEADLINE_S):
            async for received in self.sessions.subscribe("test"):
                if received.message.change == change:
                    return received.message
        raise AssertionError("a topic has no end")


@asynccontextmanager
async def running(
    *,
    features: MemoryTopic[FeaturesMessage] | None = None,
    store: MemorySessionStore | None = None,
    decisions: MemoryTopic[DecisionMessage] | None = None,
    replicas: Replicas | None = None,  # whose engines run already
) -> AsyncIterator[Rig]:
    features = features or MemoryTopic[FeaturesMessage](groups=["decision"], kept=100)
    sessions = MemoryTopic[SessionMessage](groups=["decision", "test"])
    decisions = decisions or MemoryTopic[DecisionMessage](groups=["test"])
    store = store or MemorySessionStore()
    own = Replicas()
    engines = [] if replicas else [replica.engine for replica in own.replicas]
    replicas = replicas or own
    placement = Placement(store, replicas, features)
    service = DecisionService(features, sessions, decisions, WriteBehind(store), placement)
    engine = replicas.at("one").engine
    tasks = [asyncio.create_task(part.run()) for part in engines]
    tasks.append(asyncio.create_task(service.run()))
    try:
        yield Rig(service, engine, store, features, sessions, decisions, replicas)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def numbers(messages: list[DecisionMessage]) -> list[tuple[int, list[int]]]:
    """What was decided: the newest chunk, and the turns that it opened."""
    return [(m.decision.index, [start.turn for start in m.decision.turns]) for m in messages]
