"""Ingestion alone: what it sends is kept, and nothing answers unless the test does."""

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from services.core.events import CallerEvent, Event
from services.core.messages import AudioMessage, SessionChange, SessionMessage
from services.ingestion.config import IngestionConfig
from services.ingestion.outbox import Outbox
from services.ingestion.service import IngestionService
from services.state.memory import MemorySessionStore
from soundflow.interaction import Ability, ModelInfo

M = TypeVar("M")

MODEL = ModelInfo(
    "small", frozenset({Ability.TRANSCRIBE, Ability.CHAT}), languages=frozenset({"en", "es"})
)


@dataclass
class KeptTopic(Generic[M]):
    """A topic that nobody follows."""

    sent: list[M] = field(default_factory=list)

    async def send(self, message: M) -> None:
        self.sent.append(message)

    def subscribe(self, group: str) -> Any:
        raise NotImplementedError


@dataclass
class Rig:
    """An ingestion service and what came out of it."""

    service: IngestionService
    audio: KeptTopic[AudioMessage]
    sessions: KeptTopic[SessionMessage]

    def changes(self, session_id: str) -> list[SessionChange]:
        return [sent.change for sent in self.sessions.sent if sent.session_id == session_id]

    def chunks(self, session_id: str) -> list[int]:
        return [sent.chunk.index for sent in self.audio.sent if sent.session_id == session_id]

    async def tell(self, session_id: str, *events: Event) -> None:
        """Play the response service."""
        await self.service.deliver([CallerEvent(session_id, event) for event in events])


def make_rig(**config: Any) -> Rig:
    audio, sessions = KeptTopic[AudioMessage](), KeptTopic[SessionMessage]()
    settings = IngestionConfig(**config)
    service = IngestionService(audio, sessions, MemorySessionStore(), MODEL, settings)
    return Rig(service, audio, sessions)


def unread(outbox: Outbox) -> list[Event]:
    """Return what waits for the caller, without taking it."""
    return [told.event for told in outbox._events]
