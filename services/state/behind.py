"""Changes of session records that need not be waited for: merged, and kept while the store is away.

A running session goes on without its record; once the store answers again, the record follows.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from services.core import metrics
from services.core.errors import SessionUnknown, Unavailable
from services.state.port import SessionRecord, SessionStore

log = logging.getLogger(__name__)

Change = Callable[[SessionRecord], SessionRecord]

# A session that is rebuilt hears so much more again: little, next to a write for every other chunk.
LAZY_S = 3.0
# What waits when the process ends is given so long.
FLUSH_WITHIN_S = 5.0
# Of changes that may be left out: as many of a session as wait while the store is away.
KEPT_LAZY = 8
# Writes at once, each of another session: more would only wait in the store's own queue.
WRITERS = 32
_RETRY_WAIT = wait_random_exponential(multiplier=0.05, max=1.0)


@dataclass(eq=False, slots=True)
class _Waiting:
    """One change. written: done when the record holds it, or no record can."""

    change: Change
    now: bool
    written: asyncio.Future[None]
    error: Exception | None = None

    def tell(self) -> None:
        """Tell who waits for it how it went; once, and unless that task was cancelled."""
        if self.written.done():
            return
        if self.error:
            self.written.set_exception(self.error)
            self.written.exception()  # where nobody waits for it, the log has told it
        else:
            self.written.set_result(None)


@dataclass(slots=True)
class _Queue:
    """What waits to be written of one session, in order. timer: of the lazy ones' write."""

    waiting: list[_Waiting] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    writer: asyncio.Task[None] | None = None


class WriteBehind:
    """Writes changes behind their callers; of one session in order, all that wait in one write."""

    def __init__(self, store: SessionStore, *, lazy_s: float = LAZY_S) -> None:
        self.store = store
        self.lazy_s = lazy_s
        self._queues: dict[str, _Queue] = {}
        self._writers = asyncio.Semaphore(WRITERS)

    def change(self, session_id: str, change: Change, *, now: bool = False) -> asyncio.Future[None]:
        """Change a record soon; what is returned is done once it is written. Waits for nothing.

        change: may be called more than once, and twice must be as once.
        now: at once; otherwise within `lazy_s`, and left out where KEPT_LAZY later ones wait.
        A session without a record drops its changes; what `change` raises is the future's.
        """
        queue = self._queues.setdefault(session_id, _Queue())
        written = asyncio.get_running_loop().create_future()
        queue.waiting.append(_Waiting(change, now, written))
        metrics.REDIS_BEHIND.inc()
        if not now:
            self._leave_out(queue)
        self._schedule(session_id, queue)
        return written

    @property
    def waiting(self) -> int:
        """How many changes are not written."""
        return sum(len(queue.waiting) for queue in self._queues.values())

    async def flush(self) -> None:
        """Write all that waits, lazy or not; as long as that takes."""
        while self._queues:
            for session_id, queue in self._queues.items():
                self._start(session_id, queue)
            writers = [queue.writer for queue in self._queues.values() if queue.writer]
            await asyncio.wait(writers)

    async def close(self, within_s: float) -> None:
        """Write what can be written in this time; what is left is lost, and told in the log."""
        try:
            async with asyncio.timeout(within_s):
                await self.flush()
        except TimeoutError:
            log.error(
                "%d changes of %d session records are lost: the store did not take them in %g s",
                self.waiting,
                len(self._queues),
                within_s,
            )
        writers = [queue.writer for queue in self._queues.values() if queue.writer]
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
        for queue in self._queues.values():
            for one in queue.waiting:
                one.error = Unavailable("redis_unavailable", "the store was away until the end")
            self._settle(queue, queue.waiting)
        self._queues.clear()

    def _schedule(self, session_id: str, queue: _Queue) -> None:
        if queue.writer:  # it looks again for what came meanwhile
            return
        if any(one.now for one in queue.waiting):
            self._start(session_id, queue)
        elif queue.timer is None:
            loop = asyncio.get_running_loop()
            queue.timer = loop.call_later(self.lazy_s, self._start, session_id, queue)

    def _start(self, session_id: str, queue: _Queue) -> None:
        if queue.timer:
            queue.timer.cancel()
            queue.timer = None
        if queue.writer is None:
            queue.writer = asyncio.create_task(self._write(session_id, queue))

    async def _write(self, session_id: str, queue: _Queue) -> None:
        async with self._writers:
            try:
                await self._write_once(session_id, queue)
            except Unavailable:
                await _riding_out()(self._write_once, session_id, queue)
        queue.writer = None
        if queue.waiting:  # what came during the write
            self._schedule(session_id, queue)
        else:
            del self._queues[session_id]

    async def _write_once(self, session_id: str, queue: _Queue) -> None:
        """Write what waits now, in one update. Raises Unavailable; then all of it still waits."""
        merged = list(queue.waiting)
        try:
            await self.store.update(session_id, lambda record: _merge(merged, record))
        except Unavailable:
            raise
        except SessionUnknown:
            log.warning("session %s has no record; %d changes dropped", session_id, len(merged))
        except Exception as error:  # as where the record cannot be read
            for one in merged:
                one.error = error
        for dropped in {one.error for one in merged if one.error}:
            log.error("session %s: a change is dropped", session_id, exc_info=dropped)
        self._settle(queue, merged)

    def _settle(self, queue: _Queue, settled: Sequence[_Waiting]) -> None:
        """Let changes wait no longer, and tell who waits for them."""
        gone = set(settled)
        left = [one for one in queue.waiting if one not in gone]
        metrics.REDIS_BEHIND.dec(len(queue.waiting) - len(left))
        queue.waiting = left
        for one in settled:
            one.tell()

    def _leave_out(self, queue: _Queue) -> None:
        """Keep only the newest of the lazy changes."""
        lazy = [one for one in queue.waiting if not one.now]
        self._settle(queue, lazy[:-KEPT_LAZY])


def _riding_out() -> AsyncRetrying:
    return AsyncRetrying(retry=retry_if_exception_type(Unavailable), wait=_RETRY_WAIT)


def _merge(changes: Iterable[_Waiting], record: SessionRecord) -> SessionRecord:
    """Return what changes make of a record; one that fails leaves it to the others as it was."""
    for one in changes:
        try:
            record, one.error = one.change(record), None
        except Exception as error:
            one.error = error
    return record
