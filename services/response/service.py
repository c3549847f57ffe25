"""Response: tell the caller of each decision, and speak the turns that it opens."""

import asyncio
import dataclasses
from dataclasses import dataclass, field

from services.core import metrics
from services.core.clock import seconds_since
from services.core.events import (
    CallerEvent,
    CloseReason,
    DecisionMade,
    Event,
    Overran,
    ResponseEnded,
    ResponseStarted,
    ResponseText,
    SessionClosed,
)
from services.core.lanes import Lanes
from services.core.messages import Closed, DecisionMessage, SessionMessage
from services.inference.port import DecoderClient
from services.state.port import KEPT_TURNS, SessionRecord, SessionStore
from services.transport.port import Delivery, Received, Topic
from soundflow.audio import CHUNK_MS
from soundflow.engine import EngineError
from soundflow.interaction import Overrun, PastTurn, Piece, TurnStart

GROUP = "response"


@dataclass(slots=True)
class _Speech:
    """What is being said to one session. Turns are numbered upwards, so the newest tells them all.

    A decision may name a turn again that has ended by the time the decision is read.
    """

    newest_turn: int = 0
    speaking: set[asyncio.Task[None]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class ResponseService:
    """Follow every turn to its end; hand each event to the caller at once, and to the record."""

    decisions: Topic[DecisionMessage]
    sessions: Topic[SessionMessage]
    responses: Topic[CallerEvent]
    store: SessionStore
    decoder: DecoderClient
    delivery: Delivery
    _speech: dict[str, _Speech] = field(default_factory=dict)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_sessions())
            lanes = Lanes[Received[DecisionMessage]](
                "response", group, lambda received: self._respond(received, group)
            )
            async for received in self.decisions.subscribe(GROUP):
                lanes.put(received.message.session_id, received)

    async def _respond(self, received: Received[DecisionMessage], group: asyncio.TaskGroup) -> None:
        message = received.message
        session_id = message.session_id
        speech = self._speech.setdefault(session_id, _Speech())
        if message.dropped:
            await self._tell(session_id, _overran(message.dropped))
        await self._tell(session_id, _decision_made(message))
        for start in message.decision.turns:
            if start.turn > speech.newest_turn:
                speech.newest_turn = start.turn
                task = group.create_task(self._speak(message, start))
                speech.speaking.add(task)
                task.add_done_callback(speech.speaking.discard)
        if message.last:
            group.create_task(self._finish(message, speech))
        received.done()

    async def _speak(self, message: DecisionMessage, start: TurnStart) -> None:
        """Deliver one turn from its start to its end, then keep it in the session's record."""
        session_id = message.session_id
        metrics.TURNS_STARTED.labels(start.kind.value).inc()
        await self._tell(
            session_id,
            ResponseStarted(start.turn, message.decision.index, start.kind, start.emotion),
        )
        said: dict[int, str] = {}
        try:
            async for piece in self.decoder.speak(session_id, start.turn):
                if piece.ended:
                    metrics.TURNS_ENDED.labels(piece.ended.value).inc()
                    await self._tell(session_id, ResponseEnded(piece.turn, piece.ended))
                    continue
                if not said:
                    metrics.FIRST_TEXT_SECONDS.labels(start.kind.value).observe(
                        seconds_since(message.captured_unix_us)
                    )
                said[piece.sequence] = piece.text
                await self._tell(session_id, _text(piece))
        except EngineError:  # the session was closed between the decision and its speech
            return
        await self._keep(session_id, start, "".join(said[i] for i in sorted(said)).strip())

    async def _keep(self, session_id: str, start: TurnStart, text: str) -> None:
        past = PastTurn(start.turn, start.kind, text)

        def add(record: SessionRecord) -> SessionRecord:
            return dataclasses.replace(record, turns=(*record.turns, past)[-KEPT_TURNS:])

        await self.store.update(session_id, add)

    async def _finish(self, message: DecisionMessage, speech: _Speech) -> None:
        """Close the session once all that its last chunk led to is said."""
        if speech.speaking:
            await asyncio.wait(speech.speaking)
        self._speech.pop(message.session_id, None)
        chunks = message.decision.index + 1
        closed = SessionClosed(CloseReason.COMPLETE, chunks, speech.newest_turn)
        await self._tell(message.session_id, closed)

    async def _tell(self, session_id: str, event: Event) -> None:
        told = CallerEvent(session_id, event)
        await self.delivery.deliver([told])
        await self.responses.send(told)

    async def _follow_sessions(self) -> None:
        async for received in self.sessions.subscribe(GROUP):
            if isinstance(received.message.change, Closed):
                self._speech.pop(received.message.session_id, None)
            received.done()


def _decision_made(message: DecisionMessage) -> DecisionMade:
    decision = message.decision
    latency_ms = max(0, message.decided_unix_us - message.captured_unix_us) / 1000
    end_ms = (decision.index + 1) * CHUNK_MS
    return DecisionMade(decision.index, end_ms, decision.action, latency_ms)


def _overran(dropped: Overrun) -> Overran:
    chunks = dropped.last - dropped.first + 1
    return Overran(dropped.first * CHUNK_MS, (dropped.last + 1) * CHUNK_MS, chunks)


def _text(piece: Piece) -> ResponseText:
    return ResponseText(piece.turn, piece.sequence, piece.text, piece.final, piece.words)
