"""Ingestion alone: what it sends is kept, and nothing answers unless the test does."""

import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from services.core.events import CallerEvent, DecisionMade, Event
from services.core.messages import AudioMessage, SessionChange, SessionMessage
from services.core.wire import Keyed
from services.ingestion.config import IngestionConfig
from services.ingestion.outbox import Outbox
from services.ingestion.service import IngestionService
from services.state.behind import WriteBehind
from services.state.memory import MemorySessionStore
from services.transport.port import Delivered, Holders, Kept
from soundflow.interaction import Ability, Action, ModelInfo

M = TypeVar("M", bound=Keyed)

MODEL = ModelInfo(
    "small", frozenset({Ability.TRANSCRIBE, Ability.CHAT}), languages=frozenset({"en", "es"})
)


@dataclass
class KeptTopic(Generic[M]):
    """A topic that nobody follows."""

    sent: list[M] = field(default_factory=list)

    async def send(self, message: M) -> int:
        self.sent.append(message)
        return len(self.sent)

    def subscribe(self, group: str) -> Any:
        raise NotImplementedError

    async def read(self, session_id: str, since_unix_us: int) -> AsyncIterator[Kept[M]]:
        for position, message in enumerate(list(self.sent), 1):
            if message.session_id == session_id:
                yield Kept(position, message)


@dataclass
class Rig:
    """An ingestion service and what came out of it."""

    service: IngestionService
    audio: KeptTopic[AudioMessage]
    sessions: KeptTopic[SessionMessage]
    responses: KeptTopic[CallerEvent]
    store: MemorySessionStore

    def changes(self, session_id: str) -> list[SessionChange]:
        return [sent.change for sent in self.sessions.sent if sent.session_id == session_id]

    def chunks(self, session_id: str) -> list[int]:
        return [sent.chunk.index for sent in self.audio.sent if sent.session_id == session_id]

    async def tell(self, session_id: str, *events: Event) -> None:
        """Play the response service, which keeps no record of these."""
        told = [Delivered(CallerEvent(session_id, event)) for event in events]
        await self.service.deliver(told)

    async def record(self, session_id: str, event: Event) -> Delivered:
        """Play the response service up to the record; what is returned is not delivered yet."""
        previous = max((kept.position for kept in await self.recorded(session_id)), default=0)
        position = await self.responses.send(CallerEvent(session_id, event))
        return Delivered(CallerEvent(session_id, event, id=position), previous)

    async def recorded(self, session_id: str) -> list[Kept[CallerEvent]]:
        return [kept async for kept in self.responses.read(session_id, 0)]


def make_rig(**config: Any) -> Rig:
    """Return a platform's one replica."""
    audio, sessions = KeptTopic[AudioMessage](), KeptTopic[SessionMessage]()
    return _rig(audio, sessions, KeptTopic[CallerEvent](), MemorySessionStore(), **config)


def replica_of(rig: Rig, address: str, holders: Holders | None = None, **config: Any) -> Rig:
    """Return another replica of the same platform."""
    other = _rig(rig.audio, rig.sessions, rig.responses, rig.store, **config)
    other.service = dataclasses.replace(other.service, address=address, holders=holders)
    return other


def _rig(
    audio: KeptTopic[AudioMessage],
    sessions: KeptTopic[SessionMessage],
    responses: KeptTopic[CallerEvent],
    store: MemorySessionStore,
    **config: Any,
) -> Rig:
    settings = IngestionConfig(**{"resume_within_s": 0, **config})
    service = IngestionService(
        audio, sessions, store, WriteBehind(store), MODEL, settings, responses, audio
    )
    return Rig(service, audio, sessions, responses, store)


def unread(outbox: Outbox) -> list[Event]:
    """Return what waits for the caller, without taking it."""
    return [told.event for told in outbox._events]


def decision(chunk: int) -> DecisionMade:
    return DecisionMade(chunk, (chunk + 1) * 400, Action.SILENT, 1.0)


async def play(rig: Rig, session_id: str, *events: Event) -> None:
    """Play response: record each event, deliver it."""
    for event in events:
        await rig.service.deliver([await rig.record(session_id, event)])
