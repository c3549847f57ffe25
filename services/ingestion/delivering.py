"""Events of response on the way to their caller: in order, each once, none left out.

What did not get here is in the record; it is read there and told before what comes after it.
"""

import dataclasses
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tenacity import (
    AsyncRetrying,
    before_sleep_log,
    retry_if_exception,
    stop_after_delay,
    wait_random_exponential,
)

from services.core import metrics
from services.core.clock import unix_us
from services.core.errors import Unavailable
from services.core.events import CallerEvent, SessionClosed
from services.ingestion.background import Background
from services.ingestion.live import WAITING_EVENTS, LiveSession
from services.state.port import SessionRecord
from services.transport.port import Delivered, History

log = logging.getLogger(__name__)

# How long an event may be on its way from the record to here, and clocks may differ.
ON_THE_WAY_US = 10_000_000
# How far back a caller's last event is looked for; what it was told since then is learnt.
LOOK_BACK_US = 5 * 60 * 1_000_000
# For so long the record may be out of reach before what is missing there is given up.
READ_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Delivering:
    """Takes what is delivered.

    tell: hands one event to the caller, and may end the session. too_slow: closes a session whose
    caller does not read what it missed.
    """

    record: History[CallerEvent]
    tell: Callable[[LiveSession, CallerEvent], None]
    too_slow: Callable[[LiveSession], None]
    background: Background

    def take(self, session: LiveSession, delivered: Delivered) -> None:
        """Tell an event: now or, where others are missing before it, after those."""
        if not session.behind and not session.told.misses(delivered):
            self._tell(session, delivered.told)
            return
        if len(session.waiting) >= WAITING_EVENTS:
            self.too_slow(session)
            return
        session.waiting.append(delivered)
        if not session.behind:
            session.behind = True
            self.background.start(self._catch_up(session))

    async def come_back(
        self, session: LiveSession, record: SessionRecord, last_event_id: int
    ) -> None:
        """Tell a caller who is back what it missed since that event, then what waits.

        `session.behind` was set before anything could be delivered: all of it waits.
        """
        since_unix_us = record.updated_unix_us - LOOK_BACK_US
        opened_unix_us = record.opened_unix_us - ON_THE_WAY_US
        if last_event_id == 0 or not await self._replay(session, since_unix_us, last_event_id):
            await self._replay(session, opened_unix_us, last_event_id, to_start=True)
        await self._catch_up(session)

    async def _catch_up(self, session: LiveSession) -> None:
        while session.waiting and not session.ended.is_set():
            delivered = session.waiting.popleft()
            if session.told.misses(delivered):
                since_unix_us = session.told_unix_us - ON_THE_WAY_US
                await self._replay(session, since_unix_us, session.told.last_id, to_start=True)
            self._tell(session, delivered.told)
        session.behind = False

    async def _replay(
        self, session: LiveSession, since_unix_us: int, seen_id: int, *, to_start: bool = False
    ) -> bool:
        """Tell what was recorded after the event of that id, and note what is before it.

        False, and nothing is told, when what is read does not go back to that event; unless it is
        read `to_start`, where there is no more to be had.
        """

        async def read() -> bool:
            reaches = to_start
            async for kept in self.record.read(session.session_id, since_unix_us):
                reaches = reaches or kept.position <= seen_id
                if not reaches or session.ended.is_set():
                    continue
                told = dataclasses.replace(kept.message, id=kept.position)
                # The end is told again: whoever asks after it has not understood it.
                if kept.position <= seen_id and not isinstance(told.event, SessionClosed):
                    session.told.take(told)
                    continue
                await session.outbox.room()
                if self._tell(session, told):
                    metrics.EVENTS_REPLAYED.inc()
            return reaches

        reaches = await self._patiently(session, read)
        if reaches is None:  # what the caller saw is not told again, whatever is missing after it
            session.told.last_id = max(session.told.last_id, seen_id)
        return reaches is not False

    def _tell(self, session: LiveSession, told: CallerEvent) -> bool:
        session.told_unix_us = unix_us()
        if not session.told.take(told):
            metrics.EVENTS_REPEATED.inc()
            return False
        self.tell(session, told)
        return True

    async def _patiently(
        self, session: LiveSession, read: Callable[[], Awaitable[bool]]
    ) -> bool | None:
        """Read again while the record is out of reach; what was told by then is not told twice.

        None where it stays so.
        """
        retrying = AsyncRetrying(
            retry=retry_if_exception(
                lambda error: isinstance(error, Unavailable) and not session.ended.is_set()
            ),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            stop=stop_after_delay(READ_WITHIN_S),
            before_sleep=before_sleep_log(log, logging.WARNING),
            reraise=True,
        )
        try:
            return await retrying(read)
        except Unavailable as error:
            if not session.ended.is_set():
                metrics.EVENTS_UNDELIVERED.inc()
                log.error("session %s: its caller misses events: %s", session.session_id, error)
            return None
