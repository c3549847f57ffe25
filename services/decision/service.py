"""Decision: hear everything that is queued, then say once whether to speak."""

import asyncio
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from services.core import metrics
from services.core.clock import unix_us
from services.core.lanes import Lanes, riding_out
from services.core.messages import (
    GIVEN_UP,
    NO_ROOM,
    Closed,
    DecisionMessage,
    FeaturesMessage,
    Instructed,
    Opened,
    SessionMessage,
    TurnCancelled,
)
from services.decision.placed import Placed, SessionOver
from services.decision.placement import Answer, Placement
from services.inference.port import ReplicaLost
from services.state.behind import WriteBehind
from services.state.port import SessionRecord
from services.transport.port import Received, Topic
from soundflow.decoder import DecoderFull
from soundflow.engine_session import Heard, NotOpen
from soundflow.interaction import OpenTurn

GROUP = "decision"
# A session has a chunk every 400 ms, also of silence; after so long its partition has moved, or its
# caller is away.
IDLE_S = 30.0

Inbound = Received[FeaturesMessage] | Received[SessionMessage]


@dataclass(frozen=True, slots=True)
class DecisionService:
    """Feed the engine in order, and publish exactly one decision for each drained queue."""

    features: Topic[FeaturesMessage]
    sessions: Topic[SessionMessage]
    decisions: Topic[DecisionMessage]
    records: WriteBehind
    placement: Placement

    async def run(self) -> None:
        """Work until cancelled."""
        metrics.SESSIONS_HELD.labels(GROUP).set_function(lambda: len(self.placement))
        async with asyncio.TaskGroup() as group:
            lanes = Lanes[Inbound](
                GROUP, group, lambda received: self._handle(received, lanes), self._give_up
            )
            group.create_task(self._follow_sessions(lanes))
            group.create_task(self._forget_idle())
            async for received in self.features.subscribe(GROUP):
                await lanes.put(received.message.session_id, received)

    async def _follow_sessions(self, lanes: Lanes[Inbound]) -> None:
        async for received in self.sessions.subscribe(GROUP):
            await lanes.put(received.message.session_id, received)

    async def _forget_idle(self) -> None:
        while True:
            await asyncio.sleep(IDLE_S / 2)
            self.placement.forget_idle(IDLE_S)

    async def _handle(self, received: Inbound, lanes: Lanes[Inbound]) -> None:
        message = received.message
        try:
            if isinstance(message, SessionMessage):
                await self._change(message)
            else:
                session = await self.placement.find(message.session_id)
                answer = await self.placement.give(session, message)
                lanes.beside(message.session_id, received, lambda: self._publish(answer, received))
                return  # acknowledged once it is decided on
        except SessionOver:  # this came too late
            pass
        received.done()

    async def _change(self, message: SessionMessage) -> None:
        if isinstance(message.change, Closed):
            await self.placement.close(message.session_id)
            return
        session = await self.placement.find(message.session_id)
        placement = session.placement
        try:
            decoder = await self.placement.decoder(session)
            placement = session.placement
            match message.change:
                case Opened():
                    pass  # it is placed now
                case Instructed(text):
                    await decoder.instruct(message.session_id, text)
                    session.instructed(text)
                case TurnCancelled(turn):
                    await decoder.cancel(message.session_id, turn)
        except (ReplicaLost, NotOpen) as lost:
            await self.placement.lost(session, placement, lost)
            await self._change(message)

    async def _publish(self, answer: Answer, received: Inbound) -> None:
        """Wait for the drain; the newest chunk of the drained queue speaks for all."""
        session = answer.session
        session.pending += 1
        try:
            # In the order in which chunks were given: who waits for a part that is away is not
            # overtaken by those behind.
            async with session.publishing:
                written = await riding_out(lambda: self._publish_in_turn(answer))
            if written:  # nobody else waits for the session store
                await written
        except SessionOver:  # closed while the chunk waited
            pass
        finally:
            session.pending -= 1
        received.done()

    async def _publish_in_turn(self, answer: Answer) -> asyncio.Future[None] | None:
        """Publish what was decided, and return what must be written before that is done."""
        heard = await answer.heard()
        written = None
        if heard.decision.index == answer.message.features.index:
            message = _decision_message(answer, heard)
            await self.decisions.send(message)
            _count(message)
            written = self._keep(answer.session, heard)
        metrics.CHUNKS_HEARD.inc()
        return written

    def _keep(self, session: Placed, heard: Heard) -> asyncio.Future[None] | None:
        """Write down how far the session is: at once where a turn was opened, else when it suits.

        Returns what to wait for; None where nothing depends on it.
        """
        session.note(heard)
        opened = session.open(heard.decision)
        change = _progress(session, heard)
        written = self.records.change(session.session_id, change, now=bool(opened))
        if not opened:
            return None
        written.add_done_callback(lambda _: session.wrote(opened))
        return written

    async def _give_up(self, session_id: str, why: Exception) -> None:
        change = NO_ROOM if isinstance(why, DecoderFull) else GIVEN_UP
        await self.sessions.send(SessionMessage(session_id, unix_us(), change))


def _progress(session: Placed, heard: Heard) -> Callable[[SessionRecord], SessionRecord]:
    decided, window_start = session.decided, session.window_start
    window_unix_us, memory = session.window_unix_us, session.memory

    def change(record: SessionRecord) -> SessionRecord:
        known = record.known_turns
        opened = tuple(
            OpenTurn(start.turn, start.kind, heard.decision.index)
            for start in heard.decision.turns
            if start.turn not in known
        )
        return dataclasses.replace(
            record,
            last_index=max(record.last_index, decided),
            window_start=window_start,
            window_unix_us=window_unix_us,
            memory=memory,
            open_turns=record.open_turns + opened,
        )

    return change


def _decision_message(answer: Answer, heard: Heard) -> DecisionMessage:
    message = answer.message
    return DecisionMessage(
        decision=heard.decision,
        captured_unix_us=message.captured_unix_us,
        decided_unix_us=unix_us(),
        last=message.features.last,
        dropped=heard.dropped,
        model_version=answer.version,
    )


def _count(message: DecisionMessage) -> None:
    action, version = message.decision.action.value, str(message.model_version)
    metrics.DECISIONS.labels(action, version).inc()
    took_us = max(0, message.decided_unix_us - message.captured_unix_us)
    metrics.DECISION_SECONDS.observe(took_us / 1e6)
    if message.dropped:
        metrics.CHUNKS_DROPPED.inc(message.dropped.last - message.dropped.first + 1)
