"""A caller is back: who held its sessions lets go, and its audio goes on where it was cut off."""

import asyncio
import dataclasses
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from services.core.clock import unix_us
from services.core.errors import Unavailable
from services.core.messages import AudioMessage
from services.ingestion.held import HeldSessions
from services.ingestion.live import LiveSession
from services.ingestion.outbox import Outbox
from services.ingestion.records import TakeOver
from services.state.port import SessionRecord, SessionStore
from services.transport.port import History, Holders

log = logging.getLogger(__name__)

# Decisions write the record a little later than the audio is heard; no chunk is older than this.
LOOK_BACK_US = 15_000_000
# For so long who held a session may take to let go; one that is gone never answers.
LET_GO_WITHIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A session that a caller says is its own. last_event_id: the newest event it saw; 0: none."""

    session_id: str
    token: str
    last_event_id: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """How much of a caller's audio was taken.

    chunk: the first that was not. captured_unix_us: when the last one was. ended: no more follows.
    """

    chunk: int
    captured_unix_us: int
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Resumed:
    """Sessions that go on, in the order of their channels, and where their audio does."""

    sessions: Sequence[LiveSession]
    records: Sequence[SessionRecord]
    audio: Accepted


@dataclass(frozen=True, slots=True)
class Resuming:
    """Takes sessions over from wherever they are."""

    store: SessionStore
    held: HeldSessions
    audio: History[AudioMessage]
    address: str
    holders: Holders | None

    async def take_over(self, claims: Sequence[Claim], outbox: Outbox) -> Resumed:
        """Hold the sessions here; events wait until `behind` is over. Fenced, Unavailable."""
        sessions: list[LiveSession] = []
        records: list[SessionRecord] = []
        try:
            for channel, claim in enumerate(claims):
                session = LiveSession(claim.session_id, outbox, channel, behind=True)
                sessions.append(session)
                records.append(await self._take(session))
            accepted = [
                await self._accepted(session, record)
                for session, record in zip(sessions, records, strict=True)
            ]
        except BaseException:  # they are ours, and their caller may try again
            await self.held.keep([session for session in sessions if session.epoch >= 0])
            raise
        audio = _common(accepted)
        for session, own in zip(sessions, accepted, strict=True):
            session.chunks, session.finished = audio.chunk, own.ended
        return Resumed(sessions, records, audio)

    async def _take(self, session: LiveSession) -> SessionRecord:
        """Become the owner, unless the session is over; then nobody is.

        Returns the record; what it says of when it was written is of before it changed hands.
        """
        take = TakeOver(self.address)
        record = await self.store.update(session.session_id, take)
        record = dataclasses.replace(record, updated_unix_us=take.written_unix_us)
        if record.closed:
            return record
        session.epoch = record.epoch
        here = self.held.get(session.session_id)
        self.held.add(session)
        if here:
            await here.sent()
            session.chunks, session.finished = here.chunks, here.finished
        elif self.holders and take.before not in ("", self.address):
            with suppress(TimeoutError, Unavailable):
                async with asyncio.timeout(LET_GO_WITHIN_S):
                    await self.holders.let_go(take.before, session.session_id, record.epoch)
        return record

    async def _accepted(self, session: LiveSession, record: SessionRecord) -> Accepted:
        """Return how much of a session's audio is on its way or decided on. Unavailable."""
        chunk, captured_unix_us = max(session.chunks, record.last_index + 1), 0
        ended = session.finished or bool(record.closed)
        since_unix_us = record.updated_unix_us - LOOK_BACK_US
        async for kept in self.audio.read(record.session_id, since_unix_us):
            chunk = max(chunk, kept.message.chunk.index + 1)
            captured_unix_us = max(captured_unix_us, kept.message.captured_unix_us)
            ended = ended or kept.message.chunk.last
        return Accepted(chunk, captured_unix_us or unix_us(), ended)


def _common(channels: Sequence[Accepted]) -> Accepted:
    """Return what all channels of a call have; what one has more is taken twice, to no effect."""
    return Accepted(
        chunk=min(channel.chunk for channel in channels),
        captured_unix_us=min(channel.captured_unix_us for channel in channels),
        ended=all(channel.ended for channel in channels),
    )
