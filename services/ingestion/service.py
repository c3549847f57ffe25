"""Ingestion: callers' sessions, from admission to the last event."""

import asyncio
import dataclasses
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.core import metrics
from services.core.clock import unix_us
from services.core.errors import BadRequest, Overloaded, SessionUnknown, ShuttingDown
from services.core.events import (
    CallerEvent,
    CloseReason,
    Event,
    ResponseStarted,
    SessionClosed,
    SessionOpened,
)
from services.core.messages import (
    AudioMessage,
    Closed,
    Instructed,
    Opened,
    SessionChange,
    SessionMessage,
    TurnCancelled,
)
from services.ingestion.config import IngestionConfig
from services.ingestion.outbox import Outbox
from services.state.port import SessionRecord, SessionStore
from services.transport.port import Topic
from soundflow.audio import SAMPLE_RATE_HZ, Chunk
from soundflow.interaction import ModelInfo, SessionSpec

_LANGUAGE = re.compile("[a-z]{2,3}")


@dataclass(slots=True)
class LiveSession:
    """One open session of this replica, and the way back to its caller."""

    session_id: str
    outbox: Outbox
    channel: int = 0
    chunks: int = 0
    turns: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class IngestionService:
    """Holds the callers of this replica. Adapters of protocols use it through `Call` and `Task`."""

    audio: Topic[AudioMessage]
    sessions: Topic[SessionMessage]
    store: SessionStore
    model: ModelInfo
    config: IngestionConfig
    _live: dict[str, LiveSession] = field(default_factory=dict)
    _draining: asyncio.Event = field(default_factory=asyncio.Event)

    def new_id(self) -> str:
        """Return an unused session id that nobody can guess."""
        return f"s-{secrets.token_hex(8)}"

    async def open(
        self, spec: SessionSpec, session_ids: Sequence[str], outbox: Outbox, *, face: str
    ) -> list[LiveSession]:
        """Open one session for each id, all or none. Overloaded, ShuttingDown, BadRequest."""
        spec = self._check(spec)
        self.check_room(len(session_ids))
        live = [LiveSession(id_, outbox, channel) for channel, id_ in enumerate(session_ids)]
        self._live.update((session.session_id, session) for session in live)
        opened: list[LiveSession] = []
        try:
            for session in live:
                await self._open(session, spec)
                opened.append(session)
        except BaseException:  # also a caller who left meanwhile
            for session in live[len(opened) :]:
                self._live.pop(session.session_id)
            for session in opened:
                await self._close(session, CloseReason.ERROR)
            raise
        metrics.SESSIONS_OPENED.labels(face).inc(len(live))
        return live

    def check_room(self, sessions: int = 1) -> None:
        """Raise Overloaded or ShuttingDown when so many sessions more cannot be opened."""
        if self._draining.is_set():
            metrics.SESSIONS_REFUSED.labels("shutting_down").inc()
            raise ShuttingDown
        if len(self._live) + sessions > self.config.max_sessions:
            metrics.SESSIONS_REFUSED.labels("overloaded").inc()
            raise Overloaded(self.config.max_sessions, self.config.retry_after_s)

    def drain(self) -> None:
        """Open no more sessions; those that run go on."""
        self._draining.set()

    @property
    def accepting(self) -> bool:
        """Whether sessions can be opened, as far as the platform's life goes."""
        return not self._draining.is_set()

    async def send(self, session: LiveSession, chunk: Chunk) -> None:
        """Pass a chunk on; waits while the platform is behind."""
        session.chunks = chunk.index + 1
        metrics.AUDIO_SECONDS.inc(chunk.samples / SAMPLE_RATE_HZ)
        await self.audio.send(AudioMessage(chunk, unix_us()))

    async def instruct(self, session_id: str, text: str) -> None:
        """Give a session of any replica a new instruction. BadRequest, SessionUnknown."""
        if not text.strip():
            raise BadRequest("empty_instruction", "an instruction needs words; say what to do")
        self._check_length(text)
        record = await self.store.get(session_id)
        if record.closed:
            raise SessionUnknown(session_id)
        await self.store.update(
            session_id,
            lambda old: dataclasses.replace(
                old, spec=dataclasses.replace(old.spec, instruction=text)
            ),
        )
        await self._announce(session_id, Instructed(text))

    async def cancel(self, session_id: str, turn: int) -> None:
        """Ask for a turn to end; one that is over is no error."""
        await self._announce(session_id, TurnCancelled(turn))

    async def record(self, session_id: str) -> SessionRecord:
        """Return what is known of a session, open or closed. SessionUnknown."""
        return await self.store.get(session_id)

    async def tell(self, session: LiveSession, event: Event) -> None:
        """Hand the caller an event; one that does not read is closed, so that nobody waits."""
        if session.outbox.full:
            await self._close_slow(session.outbox)
            return
        session.outbox.put(CallerEvent(session.session_id, event, session.channel))

    async def deliver(self, events: Sequence[CallerEvent]) -> None:
        """Hand events to their callers (the Delivery port); unknown sessions' are dropped."""
        for told in events:
            session = self._live.get(told.session_id)
            if session is None:
                continue
            if isinstance(told.event, SessionClosed):
                await self._end(session, told.event)
                continue
            if isinstance(told.event, ResponseStarted):
                session.turns = max(session.turns, told.event.turn)
            await self.tell(session, told.event)

    async def close(self, session_id: str, reason: CloseReason) -> None:
        """End a session now, whatever it is doing. SessionUnknown when it is not open here."""
        if session_id not in self._live:
            raise SessionUnknown(session_id)
        await self._close(self._live[session_id], reason)

    async def close_all(self, reason: CloseReason) -> None:
        """End every session of this replica."""
        for session in list(self._live.values()):
            await self._close(session, reason)

    async def all_closed(self) -> None:
        """Wait until no session is open here."""
        while self._live:
            await next(iter(self._live.values())).ended.wait()

    @property
    def open_sessions(self) -> int:
        """How many sessions are open here."""
        return len(self._live)

    async def _open(self, session: LiveSession, spec: SessionSpec) -> None:
        now = unix_us()
        await self.store.create(SessionRecord(session.session_id, spec, now))
        await self.sessions.send(SessionMessage(session.session_id, now, Opened(spec)))
        metrics.SESSIONS_OPEN.set(len(self._live))
        token = secrets.token_urlsafe(16)
        await self.tell(session, SessionOpened(session.session_id, spec.model, token))

    async def _close_slow(self, outbox: Outbox) -> None:
        """Close a caller's sessions, all of them: they share what it did not read."""
        outbox.drop_unread()
        for session in [live for live in self._live.values() if live.outbox is outbox]:
            await self._close(session, CloseReason.CLIENT_TOO_SLOW)

    async def _close(self, session: LiveSession, reason: CloseReason) -> None:
        await self._end(session, SessionClosed(reason, session.chunks, session.turns))

    async def _end(self, session: LiveSession, closed: SessionClosed) -> None:
        """Tell the caller, the other services and the record, once."""
        if self._live.pop(session.session_id, None) is None:
            return
        session.outbox.put(CallerEvent(session.session_id, closed, session.channel))
        session.ended.set()
        metrics.SESSIONS_OPEN.set(len(self._live))
        metrics.SESSIONS_CLOSED.labels(closed.reason.value).inc()
        await self.store.update(
            session.session_id, lambda old: dataclasses.replace(old, closed=closed.reason.value)
        )
        await self._announce(session.session_id, Closed(closed.reason.value))

    async def _announce(self, session_id: str, change: SessionChange) -> None:
        await self.sessions.send(SessionMessage(session_id, unix_us(), change))

    def _check(self, spec: SessionSpec) -> SessionSpec:
        """Fill in the platform's model; refuse what it cannot do."""
        if spec.model not in ("", self.model.name):
            raise BadRequest(
                "unknown_model", f"there is no model {spec.model!r} here; use {self.model.name!r}"
            )
        unknown = spec.abilities - self.model.abilities
        if unknown:
            names = ", ".join(sorted(unknown))
            raise BadRequest(
                "unknown_ability", f"model {self.model.name!r} cannot {names}; leave that out"
            )
        for language in (spec.source_language, spec.target_language):
            if language and not _LANGUAGE.fullmatch(language):
                raise BadRequest(
                    "bad_language", f"{language!r} is no language code; use one like 'de' or 'fr'"
                )
        if spec.source_language and self.model.languages:
            self._check_heard(spec.source_language)
        self._check_length(spec.instruction)
        return dataclasses.replace(spec, model=self.model.name)

    def _check_heard(self, language: str) -> None:
        if language not in self.model.languages:
            raise BadRequest(
                "unknown_language",
                f"model {self.model.name!r} does not hear {language!r}; leave source_language out "
                f"to have it found out, or use one of {', '.join(sorted(self.model.languages))}",
            )

    def _check_length(self, instruction: str) -> None:
        limit = self.config.max_instruction_chars
        if len(instruction) > limit:
            raise BadRequest(
                "instruction_too_long",
                f"an instruction may have {limit} characters, this one has {len(instruction)}",
            )
