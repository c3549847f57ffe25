"""Decision: hear everything that is queued, then say once whether to speak."""

import asyncio
import dataclasses
from collections.abc import Awaitable
from dataclasses import dataclass, field

from services.core import metrics
from services.core.clock import seconds_since, unix_us
from services.core.lanes import Lanes
from services.core.messages import (
    GIVEN_UP,
    Closed,
    DecisionMessage,
    FeaturesMessage,
    Instructed,
    Opened,
    SessionMessage,
    TurnCancelled,
)
from services.inference.port import DecoderClient
from services.state.port import SessionStore
from services.transport.port import Received, Topic
from soundflow.engine_session import Heard, NotOpen

GROUP = "decision"

Inbound = Received[FeaturesMessage] | Received[SessionMessage]


@dataclass(frozen=True, slots=True)
class DecisionService:
    """Feed the engine in order, and publish exactly one decision for each drained queue."""

    features: Topic[FeaturesMessage]
    sessions: Topic[SessionMessage]
    decisions: Topic[DecisionMessage]
    store: SessionStore
    decoder: DecoderClient
    _open: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            lanes = Lanes[Inbound](
                GROUP, group, lambda received: self._handle(received, lanes), self._give_up
            )
            group.create_task(self._follow_sessions(lanes))
            async for received in self.features.subscribe(GROUP):
                await lanes.put(received.message.session_id, received)

    async def _follow_sessions(self, lanes: Lanes[Inbound]) -> None:
        async for received in self.sessions.subscribe(GROUP):
            await lanes.put(received.message.session_id, received)

    async def _handle(self, received: Inbound, lanes: Lanes[Inbound]) -> None:
        message = received.message
        try:
            if isinstance(message, SessionMessage):
                await self._change(message)
            elif await self._is_open(message.session_id):
                heard = self.decoder.hear(message.features)
                lanes.beside(message.session_id, self._publish(message, heard, received))
                return  # acknowledged once it is decided on
        except NotOpen:  # the session is over, and this came too late
            pass
        received.done()

    async def _change(self, message: SessionMessage) -> None:
        session_id = message.session_id
        match message.change:
            case Opened():
                await self._is_open(session_id)
            case Instructed(text):
                if await self._is_open(session_id):
                    await self.decoder.instruct(session_id, text)
            case TurnCancelled(turn):
                await self.decoder.cancel(session_id, turn)
            case Closed():
                self._open.discard(session_id)
                await self.decoder.close(session_id)

    async def _is_open(self, session_id: str) -> bool:
        """Open from the record, once: a chunk may overtake the message that opens its session.

        False when the session is over.
        """
        if session_id in self._open:
            return True
        record = await self.store.get(session_id)
        if record.closed:
            return False
        await self.decoder.open(session_id, record.spec, record.turns)
        self._open.add(session_id)
        return True

    async def _publish(
        self, message: FeaturesMessage, answer: Awaitable[Heard], received: Inbound
    ) -> None:
        """Wait for the drain; the newest chunk of the drained queue speaks for all."""
        try:
            heard = await answer
        except NotOpen:  # the session was closed while the chunk waited
            received.done()
            return
        metrics.CHUNKS_HEARD.inc()
        index = message.features.index
        if heard.decision.index == index:
            await self.decisions.send(_decision_message(message, heard))
            await self.store.update(
                message.session_id, lambda record: dataclasses.replace(record, last_index=index)
            )
        received.done()

    async def _give_up(self, session_id: str) -> None:
        await self.sessions.send(SessionMessage(session_id, unix_us(), GIVEN_UP))


def _decision_message(message: FeaturesMessage, heard: Heard) -> DecisionMessage:
    metrics.DECISIONS.labels(heard.decision.action.value).inc()
    metrics.DECISION_SECONDS.observe(seconds_since(message.captured_unix_us))
    if heard.dropped:
        metrics.CHUNKS_DROPPED.inc(heard.dropped.last - heard.dropped.first + 1)
    return DecisionMessage(
        decision=heard.decision,
        captured_unix_us=message.captured_unix_us,
        decided_unix_us=unix_us(),
        last=message.features.last,
        dropped=heard.dropped,
    )
