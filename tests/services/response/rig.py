"""The response service between turns by a script and callers who keep what they are told."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from services.core.events import CallerEvent, DecisionMade, Event
from services.core.messages import DecisionMessage, SessionMessage
from services.inference.local import LocalDecoderPool
from services.inference.port import ReplicaLost
from services.response.service import ResponseService
from services.state.behind import WriteBehind
from services.state.memory import MemorySessionStore
from services.state.port import SessionRecord
from services.transport.memory import MemoryTopic
from services.transport.port import Delivered
from soundflow.engine_session import EngineError
from soundflow.interaction import Action, Decision, EndReason, Kind, Piece, SessionSpec, TurnStart
from tests.waiting import until

ENDED = Piece(1, 9, ended=EndReason.COMPLETE)


class ScriptedTurns:
    """The decoder's side: what each turn says. A turn without a script is not open."""

    def __init__(self) -> None:
        self.pieces: dict[tuple[str, int], Sequence[Piece]] = {}
        self.followed: list[tuple[str, int]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.lost_after: int | None = None  # so many pieces, once

    async def speak(self, session_id: str, turn: int) -> AsyncIterator[Piece]:
        self.followed.append((session_id, turn))
        if (session_id, turn) not in self.pieces:
            raise EngineError("no such turn")
        for piece in self.pieces[session_id, turn]:
            if self.lost_after == 0:
                self.lost_after = None
                raise ReplicaLost("local", "for the test")
            if self.lost_after:
                self.lost_after -= 1
            await self.go_on.wait()
            yield piece


@dataclass
class Line:
    """The way to the callers: keeps what each was told. Fails for a session named `unlucky`."""

    events: dict[str, list[Event]] = field(default_factory=dict)
    previous: list[tuple[int, int]] = field(default_factory=list)

    async def deliver(self, events: Sequence[Delivered]) -> None:
        for delivered in events:
            told = delivered.told
            self.previous.append((told.id, delivered.previous))
            if told.session_id == "unlucky" and isinstance(told.event, DecisionMade):
                raise ValueError("the line is broken")
            self.events.setdefault(told.session_id, []).append(told.event)


@dataclass
class Rig:
    service: ResponseService
    decisions: MemoryTopic[DecisionMessage]
    sessions: MemoryTopic[SessionMessage]
    store: MemorySessionStore
    turns: ScriptedTurns
    delivered: Line
    responses: MemoryTopic[CallerEvent]

    async def open(self, session_id: str) -> None:
        await self.store.create(SessionRecord(session_id, SessionSpec(), 0))

    async def decide(self, session_id: str, index: int, *turns: int, **fields: Any) -> None:
        action = Action.RESPOND if turns else Action.SILENT
        starts = tuple(TurnStart(turn, Kind.ANSWER) for turn in turns)
        decision = Decision(session_id, index, action, starts)
        await self.decisions.send(DecisionMessage(decision, 1_000_000, 1_250_000, **fields))

    async def told(self, session_id: str, count: int) -> list[Event]:
        """Wait until the caller was told so much."""
        events = self.delivered.events.setdefault(session_id, [])
        await until(lambda: len(events) >= count)
        assert len(events) == count
        return events


@asynccontextmanager
async def running(responses: MemoryTopic[CallerEvent] | None = None) -> AsyncIterator[Rig]:
    decisions = MemoryTopic[DecisionMessage](groups=["response"])
    sessions = MemoryTopic[SessionMessage](groups=["response"])
    responses = responses or MemoryTopic[CallerEvent](kept=100)
    store, turns, delivered = MemorySessionStore(), ScriptedTurns(), Line()
    decoder: Any = turns
    service = ResponseService(
        decisions,
        sessions,
        responses,
        store,
        WriteBehind(store),
        LocalDecoderPool(decoder),
        delivered,
    )
    task = asyncio.create_task(service.run())
    try:
        yield Rig(service, decisions, sessions, store, turns, delivered, responses)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
