"""Decoder replicas that can be lost, each a real engine around the null model."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from typing import Any

from services.inference.port import ReplicaLost
from soundflow.engine import Engine
from soundflow.engine_session import Heard
from soundflow.features import Features
from soundflow.interaction import NOTHING_PAST, ModelInfo, Past, Piece, SessionSpec
from soundflow.null import NullDecoder


@dataclass
class Replica:
    """One replica; when it is lost, so are all answers that it owes."""

    name: str
    engine: Engine[Any] = field(default_factory=lambda: Engine(NullDecoder()))
    gone: bool = False
    mute: bool = False
    owed: set[asyncio.Future[Heard]] = field(default_factory=set)
    opened: int = 0  # how often it was to be
    heard: list[int] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    version: int = 0

    @property
    def info(self) -> ModelInfo:
        return dataclasses.replace(self.engine.info, version=self.version)

    def lose(self) -> None:
        self.gone = True
        for answer in self.owed:
            if not answer.done():
                answer.set_exception(ReplicaLost(self.name, "for the test"))

    async def open(self, session_id: str, spec: SessionSpec, past: Past = NOTHING_PAST) -> int:
        self._check()
        self.opened += 1
        return await self.engine.open(session_id, spec, past)

    def hear(self, features: Features) -> Awaitable[Heard]:
        self._check()
        self.heard.append(features.index)
        if not self.mute:
            return self.engine.hear(features)
        answer: asyncio.Future[Heard] = asyncio.get_running_loop().create_future()
        self.owed.add(answer)
        return answer

    def speak(self, session_id: str, turn: int) -> AsyncIterator[Piece]:
        self._check()
        return self.engine.speak(session_id, turn)

    async def instruct(self, session_id: str, text: str) -> None:
        self._check()
        await self.engine.instruct(session_id, text)

    async def cancel(self, session_id: str, turn: int) -> None:
        self._check()
        await self.engine.cancel(session_id, turn)
        self.cancelled.append(turn)

    async def close(self, session_id: str) -> None:
        self._check()
        await self.engine.close(session_id)

    def _check(self) -> None:
        if self.gone:
            raise ReplicaLost(self.name, "for the test")


@dataclass
class Replicas:
    """The pool: sessions go to the first that is not lost."""

    replicas: list[Replica] = field(default_factory=lambda: [Replica("one"), Replica("two")])

    @property
    def info(self) -> ModelInfo:
        return self.replicas[0].info

    async def ranked(self, session_id: str) -> list[str]:
        return [replica.name for replica in self.replicas if not replica.gone]

    def at(self, replica: str) -> Replica:
        return next(one for one in self.replicas if one.name == replica)

    def successor(self, replica: str) -> str | None:
        newest = max((one for one in self.replicas if not one.gone), key=lambda o: o.version)
        return newest.name if newest.version > self.at(replica).version else None
