"""Response: tell the caller of each decision, and speak the turns that it opens."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.core import metrics
from services.core.clock import unix_us
from services.core.errors import Failed, NoDecoder, SessionUnknown, SoundFlowError
from services.core.events import (
    CallerEvent,
    CloseReason,
    DecisionMade,
    ErrorEvent,
    Event,
    Overran,
    SessionClosed,
)
from services.core.lanes import Lanes, riding_out
from services.core.messages import GIVEN_UP, NO_ROOM, Closed, DecisionMessage, SessionMessage
from services.inference.port import DecoderPool
from services.response.speech import Place, Speech, speak
from services.response.telling import Telling
from services.state.behind import WriteBehind
from services.state.port import RecordBroken, SessionRecord, SessionStore
from services.transport.port import Delivery, Received, Topic
from soundflow.audio import CHUNK_MS
from soundflow.interaction import Overrun

GROUP = "response"
IDLE_S = 30.0  # of a session that decides every 400 ms

Inbound = Received[DecisionMessage] | Received[SessionMessage]


@dataclass(slots=True)
class _Session:
    """One session: what its caller was told, which decoder speaks, and what is being said.

    Turns are numbered upwards, so the newest tells which were begun here; `finished` are those
    that another replica had finished before. A decision may name a turn again.
    """

    telling: Telling
    place: Place
    finished: frozenset[int]
    newest_turn: int
    speaking: set[asyncio.Task[None]] = field(default_factory=set)
    touched_s: float = field(default_factory=time.monotonic)

    def begin(self, turn: int) -> bool:
        """Note that a turn was named; False when it was begun or finished before."""
        if turn <= self.newest_turn or turn in self.finished:
            return False
        self.newest_turn = turn
        return True


@dataclass(frozen=True, slots=True)
class ResponseService:
    """Follow every turn to its end; hand each event to the record, and to the caller at once."""

    decisions: Topic[DecisionMessage]
    sessions: Topic[SessionMessage]
    responses: Topic[CallerEvent]
    store: SessionStore
    records: WriteBehind
    decoders: DecoderPool
    delivery: Delivery
    _sessions: dict[str, _Session] = field(default_factory=dict)

    async def run(self) -> None:
        """Work until cancelled."""
        metrics.SESSIONS_HELD.labels(GROUP).set_function(lambda: len(self._sessions))
        async with asyncio.TaskGroup() as group:
            lanes = Lanes[Inbound](
                GROUP, group, lambda received: self._handle(received, lanes), self._give_up
            )
            group.create_task(self._follow_sessions(lanes))
            group.create_task(self._forget_idle())
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
            await self._close(message.session_id, message.change)
        elif session := await self._session(message.session_id):
            await self._respond(session, message)
            self._speak(session, message, received, lanes)
            return  # acknowledged once all is said
        received.done()

    async def _session(self, session_id: str) -> _Session | None:
        """Return what is known of a session; None when it is over, and its decision too late."""
        if session_id not in self._sessions:
            record = await self.store.get(session_id)
            if record.closed:
                return None
            self._sessions[session_id] = self._known(record)
        session = self._sessions[session_id]
        session.touched_s = time.monotonic()
        return session

    async def _forget_idle(self) -> None:
        while True:
            await asyncio.sleep(IDLE_S / 2)
            self.forget_idle(IDLE_S)

    def forget_idle(self, idle_s: float) -> None:
        """Let go of sessions that have moved to other replicas; the record finds them again."""
        since_s = time.monotonic() - idle_s
        for session_id, session in list(self._sessions.items()):
            if session.touched_s < since_s and not session.speaking:
                del self._sessions[session_id]

    def _known(self, record: SessionRecord) -> _Session:
        finished = frozenset(past.turn for past in record.turns)
        begun = [past.turn for past in record.open_turns]
        # What was finished before the oldest turn that is still open is not said again.
        newest_turn = min(begun, default=max(finished, default=0) + 1) - 1
        telling = Telling(record.session_id, self.responses, self.delivery)
        return _Session(telling, Place(record.decoder), finished, newest_turn)

    async def _respond(self, session: _Session, message: DecisionMessage) -> None:
        if message.dropped:
            await session.telling.tell(_overran(message.dropped))
        await session.telling.tell(_decision_made(message))

    def _speak(
        self,
        session: _Session,
        message: DecisionMessage,
        received: Inbound,
        lanes: Lanes[Inbound],
    ) -> None:
        """Say what the decision opens, side by side with what is being said already."""
        turns = [start for start in message.decision.turns if session.begin(start.turn)]
        if not turns and not message.last:
            received.done()
            return
        session_id = message.session_id
        speeches = [
            Speech(session_id, start, message, session.telling, session.place) for start in turns
        ]

        async def say(speech: Speech) -> None:
            await riding_out(lambda: speak(speech, self.decoders, self.store, self.records))

        async def say_and_acknowledge() -> None:
            await asyncio.gather(*map(say, speeches))
            if message.last:
                await self._finish(session, message, earlier)
            received.done()

        earlier = set(session.speaking)
        task = lanes.beside(session_id, received, say_and_acknowledge)
        session.speaking.add(task)
        task.add_done_callback(session.speaking.discard)

    async def _finish(
        self, session: _Session, message: DecisionMessage, earlier: set[asyncio.Task[None]]
    ) -> None:
        """Close the session once all that its last chunk led to is said."""
        if earlier:
            await asyncio.wait(earlier)
        chunks = message.decision.index + 1
        closed = SessionClosed(CloseReason.COMPLETE, chunks, session.newest_turn)
        await session.telling.tell(closed)

    async def _close(self, session_id: str, change: object) -> None:
        """Forget the session; tell its caller, where that is held by another replica."""
        session = self._sessions.pop(session_id, None)
        if not isinstance(change, Closed) or change.caller_told:
            return
        try:
            record = await self.store.get(session_id)
            chunks, turns = record.last_index + 1, record.newest_turn
        except SessionUnknown:  # nobody is left to be told; it is not to be given up once more
            return
        except RecordBroken:
            chunks, turns = 0, 0
        telling = session.telling if session else Telling(session_id, self.responses, self.delivery)
        if failed := _FAILURES.get(change):
            await telling.tell(ErrorEvent(failed.code, failed.message))
        await telling.tell(SessionClosed(_reason(change.reason), chunks, turns))

    async def _give_up(self, session_id: str, _: Exception) -> None:
        await self.sessions.send(SessionMessage(session_id, unix_us(), GIVEN_UP))


_FAILURES: Mapping[Closed, SoundFlowError] = {GIVEN_UP: Failed(), NO_ROOM: NoDecoder()}


def _reason(reason: str) -> CloseReason:
    return CloseReason(reason) if reason in set(CloseReason) else CloseReason.ERROR


def _decision_made(message: DecisionMessage) -> Event:
    decision = message.decision
    latency_ms = max(0, message.decided_unix_us - message.captured_unix_us) / 1000
    end_ms = (decision.index + 1) * CHUNK_MS
    return DecisionMade(decision.index, end_ms, decision.action, latency_ms)


def _overran(dropped: Overrun) -> Event:
    chunks = dropped.last - dropped.first + 1
    return Overran(dropped.first * CHUNK_MS, (dropped.last + 1) * CHUNK_MS, chunks)
