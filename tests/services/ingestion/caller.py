"""A caller of ingestion alone, who may come back."""

from typing import Any

import numpy as np

from services.core.events import CallerEvent, Event, SessionOpened
from services.ingestion.live import LiveSession
from services.ingestion.outbox import Outbox
from services.ingestion.resuming import Claim, Resumed
from soundflow.audio import CHUNK_SAMPLES, Chunk
from soundflow.interaction import SessionSpec
from tests.services.ingestion.rig import Rig, unread


def chunk(session_id: str, index: int, *, last: bool = False) -> Chunk:
    return Chunk(session_id, index, np.zeros(CHUNK_SAMPLES, np.float32), last=last)


class Caller:
    """Someone who calls, and may call back with what it knows."""

    def __init__(self, *session_ids: str) -> None:
        self.session_ids = session_ids
        self.tokens: dict[str, str] = {}
        self.outbox = Outbox(capacity=1000, sessions=len(session_ids))
        self.sessions: list[LiveSession] = []
        self.read: list[CallerEvent] = []

    async def call(self, rig: Rig) -> "Caller":
        self.sessions = await rig.service.open(
            SessionSpec("listen"), self.session_ids, self.outbox, face="test"
        )
        self.take()
        return self

    async def back(self, rig: Rig, *, last_event_id: int | None = None, token: str = "") -> Resumed:
        """Call again and resume; what was not read of the connection before is lost."""
        self.outbox = Outbox(capacity=1000, sessions=len(self.session_ids))
        claims = [
            Claim(
                session_id,
                token or self.tokens[session_id],
                self.last_id(session_id) if last_event_id is None else last_event_id,
            )
            for session_id in self.session_ids
        ]
        return await rig.service.resume(claims, self.outbox)

    def take(self) -> None:
        """Read what waits."""
        self.read += self.outbox._events
        self.outbox._events.clear()
        for told in self.read:
            if isinstance(told.event, SessionOpened):
                self.tokens[told.session_id] = told.event.resume_token

    def last_id(self, session_id: str) -> int:
        return max((told.id for told in self.read if told.session_id == session_id), default=0)

    def waits_for(self, *events: Event) -> Any:
        return lambda: unread(self.outbox) == list(events)
