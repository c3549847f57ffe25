"""Response: tell the caller of each decision, and speak the turns that it opens."""

import asyncio
import dataclasses
from dataclasses import dataclass, field

from services.core import metrics
from services.core.clock import seconds_since, unix_us
from services.core.errors import Failed
from services.core.events import (
    CallerEvent,
    CloseReason,
    DecisionMade,
    ErrorEvent,
    Event,
    Overran,
    ResponseEnded,
    ResponseStarted,
    ResponseText,
    SessionClosed,
)
from services.core.lanes import Lanes
from services.core.messages import GIVEN_UP, Closed, DecisionMessage, SessionMessage
from services.inference.port import DecoderClient
from services.state.port import KEPT_TURNS, SessionRecord, SessionStore
from services.transport.port import Delivery, Received, Topic
from soundflow.audio import CHUNK_MS
from soundflow.engine_session import EngineError
from soundflow.interaction import Overrun, PastTurn, Piece, TurnStart

GROUP = "response"

Inbound = Received[DecisionMessage] | Received[SessionMessage]


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
            lanes = Lanes[Inbound](
                GROUP, group, lambda received: self._handle(received, lanes), self._give_up
            )
            group.create_task(self._follow_sessions(lanes))
            async for received in self.decisions.subscribe(GROUP):
                await lanes.put(received.message.session_id, received)

    async def _follow_sessions(self, lanes: Lanes[Inbound]) -> None:
        async for received in self.sessions.subscribe(GROUP):
            if isinstance(received.message.change, Closed):
                await lanes.put(received.message.session_id, received)
            else:
                received.done()

    async def _handle(self, received: Inbound, lanes: Lanes[Inbound]) -> None:
        message = received.message
        if isinstance(message, SessionMessage):
            await self._close(message)
        elif speech := await self._speech_of(message.session_id):
            await self._respond(message, speech, lanes)
        received.done()

    async def _speech_of(self, session_id: str) -> _Speech | None:
        """Return what is being said; None when the session is over, and its decision too late."""
        if session_id not in self._speech:
            if (await self.store.get(session_id)).closed:
                return None
            self._speech[session_id] = _Speech()
        return self._speech[session_id]

    async def _respond(
        self, message: DecisionMessage, speech: _Speech, lanes: Lanes[Inbound]
    ) -> None:
        session_id = message.session_id
        if message.dropped:
            await self._tell(session_id, _overran(message.dropped))
        await self._tell(session_id, _decision_made(message))
        for start in message.decision.turns:
            if start.turn > speech.newest_turn:
                speech.newest_turn = start.turn
                task = lanes.beside(session_id, self._speak(message, start))
                speech.speaking.add(task)
                task.add_done_callback(speech.speaking.discard)
        if message.last:
            lanes.beside(session_id, self._finish(message, speech))

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
        chunks = message.decision.index + 1
        closed = SessionClosed(CloseReason.COMPLETE, chunks, speech.newest_turn)
        await self._tell(message.session_id, closed)

    async def _tell(self, session_id: str, event: Event) -> None:
        told = CallerEvent(session_id, event)
        await self.delivery.deliver([told])
        await self.responses.send(told)

    async def _close(self, message: SessionMessage) -> None:
        """Forget the session; its caller does not know yet where a service gave it up."""
        speech = self._speech.pop(message.session_id, _Speech())
        if message.change != GIVEN_UP:
            return
        record = await self.store.get(message.session_id)
        closed = SessionClosed(CloseReason.ERROR, record.last_index + 1, speech.newest_turn)
        failed = Failed()
        events = (ErrorEvent(failed.code, failed.message), closed)
        told = [CallerEvent(message.session_id, event) for event in events]
        await self.delivery.deliver(told)

    async def _give_up(self, session_id: str) -> None:
        await self.sessions.send(SessionMessage(session_id, unix_us(), GIVEN_UP))


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
