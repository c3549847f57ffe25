"""The sessions that this replica holds: how their callers are told, and how they end here."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from services.core import metrics
from services.core.clock import unix_us
from services.core.errors import HandedOver, SessionUnknown, SoundFlowError, Unavailable
from services.core.events import CallerEvent, CloseReason, ErrorEvent, SessionClosed
from services.core.lanes import riding_out
from services.core.messages import Closed, SessionChange, SessionMessage
from services.ingestion.background import Background
from services.ingestion.live import LiveSession
from services.ingestion.records import Closing
from services.state.behind import WriteBehind
from services.state.port import Fenced, RecordBroken, SessionStore
from services.transport.port import Topic


@dataclass(frozen=True, slots=True)
class HeldSessions:
    """Sessions by id. One ends here when it is closed, or when it is let go and goes on elsewhere.

    resume_within_s: how long a caller whose connection broke may take to be back.
    """

    sessions: Topic[SessionMessage]
    store: SessionStore
    records: WriteBehind
    background: Background
    resume_within_s: float
    _live: dict[str, LiveSession] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._live

    def get(self, session_id: str) -> LiveSession | None:
        """Return a session that is held here."""
        return self._live.get(session_id)

    def all(self) -> Sequence[LiveSession]:
        """Return all, as of now."""
        return list(self._live.values())

    def epochs(self) -> Mapping[str, int]:
        """Return the epochs of those that have a record, by id."""
        return {live.session_id: live.epoch for live in self._live.values() if live.epoch >= 0}

    def add(self, session: LiveSession) -> None:
        """Hold a session; whoever held it here on another connection loses it. Fenced."""
        other = self._live.get(session.session_id)
        if other and other.epoch > session.epoch:
            raise Fenced(session.session_id)
        if other:
            self.let_go(other, Fenced(session.session_id))
        self._live[session.session_id] = session
        metrics.SESSIONS_OPEN.set(len(self._live))

    def remove(self, session: LiveSession) -> bool:
        """Hold it no more; False when it was not held."""
        if self._live.get(session.session_id) is not session:
            return False
        del self._live[session.session_id]
        metrics.SESSIONS_OPEN.set(len(self._live))
        return True

    def tell(self, session: LiveSession, told: CallerEvent) -> None:
        """Tell a caller, or end its session; one that does not read is closed: nobody waits."""
        event = told.event
        if isinstance(event, SessionClosed):
            self.end(session, event, event_id=told.id)
        elif session.ended.is_set() or session.lost:
            return  # what is recorded is told when the caller is back
        elif session.outbox.full:
            self.close_slow(session)
        else:
            session.outbox.put(CallerEvent(told.session_id, event, session.channel, told.id))

    def close(self, session: LiveSession, reason: CloseReason) -> asyncio.Task[None] | None:
        """End a session that has not ended; see `end`."""
        return self.end(session, SessionClosed(reason, session.chunks, session.turns))

    def end(
        self, session: LiveSession, closed: SessionClosed, *, event_id: int = 0
    ) -> asyncio.Task[None] | None:
        """Tell the caller at once, and once; the task returned tells the platform."""
        if session.ended.is_set():
            return None
        session.outbox.put(CallerEvent(session.session_id, closed, session.channel, event_id))
        session.ended.set()
        if not self.remove(session):  # its record was closed before its caller came back
            return None
        metrics.SESSIONS_CLOSED.labels(closed.reason.value).inc()
        return self.background.start(self._settle(session, closed.reason))

    def close_slow(self, slow: LiveSession) -> None:
        """Close all sessions of a caller that does not read: they share what waits for it."""
        slow.outbox.drop_unread()
        for session in self.all():
            if session.outbox is slow.outbox:
                self.close(session, CloseReason.CLIENT_TOO_SLOW)

    def let_go(self, session: LiveSession, why: SoundFlowError) -> None:
        """End its connection here; the session itself goes on, with another."""
        if not self.remove(session):
            return
        session.let_go = why
        if not isinstance(why, HandedOver):
            error = ErrorEvent(why.code, why.message)
            session.outbox.put(CallerEvent(session.session_id, error, session.channel))
        session.outbox.shut()
        session.ended.set()

    async def keep(self, sessions: Sequence[LiveSession]) -> None:
        """Keep sessions whose connection broke, for a while; then close them."""
        for session in sessions:
            session.lost = True
        waiting = self.background.start(self._await_return(sessions))
        if not self.resume_within_s:
            await asyncio.shield(waiting)

    async def close_elsewhere(self, session_id: str, closing: Closing) -> None:
        """Close a record, and have its caller told by whoever holds it. SessionUnknown."""
        await self.store.update(session_id, closing)
        if not closing.was_open:
            raise SessionUnknown(session_id)
        await self.announce(session_id, Closed(closing.reason))

    async def check(self, session_id: str) -> None:
        """Find out why a lease could not be renewed, and do what follows from it. Unavailable."""
        session = self._live.get(session_id)
        if session is None:
            return
        try:
            record = await self.store.get(session_id)
        except (SessionUnknown, RecordBroken):
            self.close(session, CloseReason.ERROR)
            return
        if record.closed:
            self.close(session, CloseReason(record.closed))
        elif record.epoch != session.epoch:
            self.let_go(session, Fenced(session_id))

    async def reap(self, session_id: str, epoch: int) -> None:
        """Close a session that nobody holds. Unavailable."""
        with suppress(SessionUnknown, Fenced):  # it was closed or taken over just now
            closing = Closing(CloseReason.CLIENT_GONE.value, epoch)
            await self.close_elsewhere(session_id, closing)
            metrics.LEASES_EXPIRED.inc()
            metrics.SESSIONS_CLOSED.labels(closing.reason).inc()

    async def announce(self, session_id: str, change: SessionChange) -> None:
        """Tell the other services. Unavailable."""
        await self.sessions.send(SessionMessage(session_id, unix_us(), change))

    async def _await_return(self, sessions: Sequence[LiveSession]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.resume_within_s):
                for session in sessions:
                    await session.ended.wait()
        for session in sessions:
            if closing := self.close(session, CloseReason.CLIENT_GONE):
                await closing

    async def _settle(self, session: LiveSession, reason: CloseReason) -> None:
        """Close the record and tell the other services, once they can be reached."""
        closing = Closing(reason.value, session.epoch)
        told = Closed(reason.value, caller_told=not session.lost)
        try:
            await self.store.update(session.session_id, closing)
        except Unavailable:
            closing.was_open = True
            self.records.change(session.session_id, closing, now=True)
        except (SessionUnknown, RecordBroken):  # lost; the other services may still hold it
            closing.was_open = True
        if closing.was_open:
            await riding_out(lambda: self.announce(session.session_id, told))
