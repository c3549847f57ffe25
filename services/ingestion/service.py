"""Ingestion: callers' sessions, from admission to the last event."""

import asyncio
import dataclasses
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.core import metrics
from services.core.clock import unix_us
from services.core.errors import (
    HandedOver,
    Overloaded,
    SessionUnknown,
    ShuttingDown,
    Unavailable,
)
from services.core.events import (
    CallerEvent,
    CloseReason,
    Event,
    SessionClosed,
    SessionOpened,
    SessionResumed,
)
from services.core.messages import (
    AudioMessage,
    Instructed,
    Opened,
    SessionMessage,
    TurnCancelled,
)
from services.ingestion.admission import check_instruction, check_spec
from services.ingestion.background import Background
from services.ingestion.config import IngestionConfig
from services.ingestion.delivering import Delivering
from services.ingestion.held import HeldSessions
from services.ingestion.leases import Leases
from services.ingestion.live import LiveSession
from services.ingestion.outbox import Outbox
from services.ingestion.records import Closing, check_token, digest, new_token
from services.ingestion.resuming import Claim, Resumed, Resuming
from services.ingestion.sending import send
from services.state.behind import WriteBehind
from services.state.port import Fenced, SessionRecord, SessionStore
from services.transport.port import Delivered, History, Holders, Topic
from soundflow.audio import SAMPLE_RATE_HZ, Chunk
from soundflow.interaction import ModelInfo, SessionSpec


@dataclass(slots=True)
class IngestionService:
    """Holds the callers of this replica. Adapters of protocols use it through `Call` and `Task`.

    responses, audio_history: what was recorded, for callers who are back. address: where events
    for this replica are delivered. holders: the other replicas; None where there are none.
    """

    audio: Topic[AudioMessage]
    sessions: Topic[SessionMessage]
    store: SessionStore
    records: WriteBehind
    model: ModelInfo
    config: IngestionConfig
    responses: History[CallerEvent]
    audio_history: History[AudioMessage]
    address: str = ""
    holders: Holders | None = None
    _draining: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _background: Background = field(init=False, default_factory=Background)
    _held: HeldSessions = field(init=False)
    _delivering: Delivering = field(init=False)
    _resuming: Resuming = field(init=False)

    def __post_init__(self) -> None:
        """Wire the parts."""
        self._held = HeldSessions(
            self.sessions, self.store, self.records, self._background, self.config.resume_within_s
        )
        self._delivering = Delivering(
            self.responses, self._held.tell, self._held.close_slow, self._background
        )
        self._resuming = Resuming(
            self.store, self._held, self.audio_history, self.address, self.holders
        )

    async def run(self) -> None:
        """Keep the leases of sessions until cancelled; then end what is left to do."""
        leases = Leases(
            self.store,
            self.config.lease_renew_s,
            self._held.epochs,
            self._held.check,
            self._held.reap,
        )
        try:
            await leases.run()
        finally:
            await self._background.stop(self.config.read_grace_s)

    def new_id(self) -> str:
        """Return an unused session id that nobody can guess."""
        return f"s-{secrets.token_hex(8)}"

    async def open(
        self,
        spec: SessionSpec,
        session_ids: Sequence[str],
        outbox: Outbox,
        *,
        face: str,
        resumable: bool = True,
    ) -> list[LiveSession]:
        """Open one session for each id, all or none. Overloaded, Unavailable, BadRequest."""
        spec = check_spec(spec, self.model, self.config)
        self.check_room(len(session_ids))
        live = [
            LiveSession(id_, outbox, channel, resumable=resumable)
            for channel, id_ in enumerate(session_ids)
        ]
        for session in live:
            self._held.add(session)
        try:
            for session in live:
                await self._open(session, spec)
        except BaseException as error:  # also a caller who left meanwhile
            if isinstance(error, Overloaded | Unavailable):
                metrics.SESSIONS_REFUSED.labels(error.code).inc()
            for session in live:
                self._undo(session)
            raise
        metrics.SESSIONS_OPENED.labels(face).inc(len(live))
        return live

    async def resume(self, claims: Sequence[Claim], outbox: Outbox) -> Resumed:
        """Go on with sessions, one for each channel of a call, wherever they were held.

        What was missed is told after `session.resumed`; of a session that is over, why.
        SessionUnknown, BadRequest `bad_token`, Overloaded, Fenced, Unavailable.
        """
        for claim in claims:
            check_token(await self.store.get(claim.session_id), claim.token)
        self.check_room(sum(claim.session_id not in self._held for claim in claims))
        resumed = await self._resuming.take_over(claims, outbox)
        metrics.SESSIONS_RESUMED.inc(len(claims))
        for session, claim, record in zip(resumed.sessions, claims, resumed.records, strict=True):
            model, chunk = record.spec.model, resumed.audio.chunk
            self.tell(session, SessionResumed(session.session_id, model, chunk))
            self._background.start(self._come_back(session, record, claim.last_event_id))
        return resumed

    async def keep(self, sessions: Sequence[LiveSession]) -> None:
        """Hold sessions whose connection broke, until their caller is back or for a while."""
        await self._held.keep(sessions)

    def check_entry(self) -> None:
        """Raise Overloaded or ShuttingDown when neither a new caller nor one who is back fits."""
        if not any(session.lost for session in self._held.all()):
            self.check_room()

    def check_room(self, sessions: int = 1) -> None:
        """Raise Overloaded or ShuttingDown when so many sessions more cannot be held."""
        if self._draining.is_set():
            metrics.SESSIONS_REFUSED.labels("shutting_down").inc()
            raise ShuttingDown
        if len(self._held) + sessions > self.config.max_sessions:
            metrics.SESSIONS_REFUSED.labels("overloaded").inc()
            raise Overloaded(self.config.max_sessions, self.config.retry_after_s)

    def drain(self) -> None:
        """Take no more sessions; those that run go on."""
        self._draining.set()

    @property
    def accepting(self) -> bool:
        """Whether sessions can be opened."""
        return not self._draining.is_set()

    async def send(self, session: LiveSession, chunk: Chunk) -> None:
        """Pass a chunk on; waits while the platform is behind, or a part of it away."""
        metrics.AUDIO_SECONDS.inc(chunk.samples / SAMPLE_RATE_HZ)
        message = AudioMessage(chunk, unix_us())
        session.sending = self._background.start(send(self.audio, session, message))
        # Whoever is cancelled here leaves no doubt whether the chunk was sent.
        await asyncio.shield(session.sending)

    async def instruct(self, session_id: str, text: str) -> None:
        """Give a session of any replica a new instruction. BadRequest, SessionUnknown."""
        check_instruction(text, self.config)
        record = await self.store.get(session_id)
        if record.closed:
            raise SessionUnknown(session_id)
        spec = dataclasses.replace(record.spec, instruction=text)
        await self.store.update(session_id, lambda old: dataclasses.replace(old, spec=spec))
        await self._held.announce(session_id, Instructed(text))

    async def cancel(self, session_id: str, turn: int) -> None:
        """Ask for a turn to end; one that is over is no error."""
        await self._held.announce(session_id, TurnCancelled(turn))

    async def record(self, session_id: str) -> SessionRecord:
        """Return what is known of a session, open or closed. SessionUnknown."""
        return await self.store.get(session_id)

    def tell(self, session: LiveSession, event: Event) -> None:
        """Tell the caller something that is not recorded."""
        self._held.tell(session, CallerEvent(session.session_id, event))

    async def deliver(self, events: Sequence[Delivered]) -> None:
        """Hand events to their callers (the Delivery port); unknown sessions' are dropped."""
        for delivered in events:
            if session := self._held.get(delivered.told.session_id):
                self._delivering.take(session, delivered)

    def holds(self, session_id: str) -> bool:
        """Tell whether the session's caller is here, or was a moment ago."""
        return session_id in self._held

    async def let_go(self, session_id: str, epoch: int) -> None:
        """Give a session up that another replica has taken over, with this epoch."""
        session = self._held.get(session_id)
        if session and session.epoch < epoch:
            self._held.let_go(session, Fenced(session_id))
            await session.sent()

    async def close(self, session_id: str, reason: CloseReason) -> None:
        """End a session now, on any replica, whatever it is doing. SessionUnknown when it ended."""
        if session := self._held.get(session_id):
            await self._wait_for([self._held.close(session, reason)])
            return
        await self._held.close_elsewhere(session_id, Closing(reason.value))

    async def close_all(self, reason: CloseReason) -> None:
        """End every session of this replica."""
        await self._wait_for([self._held.close(session, reason) for session in self._held.all()])

    async def hand_over(self) -> None:
        """Let every session go, for its caller to resume it elsewhere; tasks are closed."""
        held = self._held.all()
        for session in held:
            if session.resumable:
                self._held.let_go(session, HandedOver())
        await self.close_all(CloseReason.SHUTDOWN)
        for session in held:
            await session.sent()

    async def all_closed(self) -> None:
        """Wait until no session is open here."""
        while held := self._held.all():
            await held[0].ended.wait()

    @property
    def open_sessions(self) -> int:
        """How many sessions are open here."""
        return len(self._held)

    async def _open(self, session: LiveSession, spec: SessionSpec) -> None:
        now, token = unix_us(), new_token()
        record = SessionRecord(
            session.session_id, spec, now, owner=self.address, token_sha256=digest(token)
        )
        await self.store.create(record)
        session.epoch = record.epoch
        await self._held.announce(session.session_id, Opened(spec))
        self.tell(session, SessionOpened(session.session_id, spec.model, token))

    def _undo(self, session: LiveSession) -> None:
        """Take an opening back, as far as it came."""
        if session.epoch < 0:
            self._held.remove(session)
        else:
            self._held.close(session, CloseReason.ERROR)

    async def _come_back(
        self, session: LiveSession, record: SessionRecord, last_event_id: int
    ) -> None:
        await self._delivering.come_back(session, record, last_event_id)
        if record.closed:  # and the record of events does not say so
            reason = CloseReason(record.closed)
            self._held.end(session, SessionClosed(reason, session.chunks, record.newest_turn))

    async def _wait_for(self, closing: Sequence[asyncio.Task[None] | None]) -> None:
        """Wait until the platform knows, but not for a part of it that is away."""
        if tasks := [task for task in closing if task]:
            await asyncio.wait(tasks, timeout=self.config.read_grace_s)
