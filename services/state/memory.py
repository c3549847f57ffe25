"""Session records in one process: for `make run` and for tests."""

import dataclasses
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from services.core.clock import unix_us
from services.core.errors import Overloaded, SessionExists, SessionUnknown
from services.state.port import Fenced, SessionRecord


class MemorySessionStore:
    """A dictionary of records; closed ones are kept until `kept_closed` newer ones have closed."""

    def __init__(
        self,
        *,
        capacity: int = 10_000,
        retry_after_s: int = 5,
        lease_s: float = 15,
        kept_closed: int = 1000,
    ) -> None:
        self.capacity = capacity
        self.retry_after_s = retry_after_s
        self.lease_s = lease_s
        self.kept_closed = kept_closed
        self._records: dict[str, SessionRecord] = {}
        self._leases: dict[str, float] = {}  # of open sessions: until when, on the monotonic clock
        self._closed: OrderedDict[str, None] = OrderedDict()

    async def create(self, record: SessionRecord) -> None:
        """Keep a new record."""
        if record.session_id in self._records:
            raise SessionExists(record.session_id)
        if len(self._leases) >= self.capacity:
            raise Overloaded(self.capacity, self.retry_after_s)
        self._lease(record.session_id)
        self._write(record)

    async def get(self, session_id: str) -> SessionRecord:
        """Return a record."""
        try:
            return self._records[session_id]
        except KeyError:
            raise SessionUnknown(session_id) from None

    async def update(
        self,
        session_id: str,
        change: Callable[[SessionRecord], SessionRecord],
        *,
        epoch: int | None = None,
    ) -> SessionRecord:
        """Replace a record by what `change` makes of it."""
        old = await self.get(session_id)
        if epoch is not None and old.epoch != epoch:
            raise Fenced(session_id)
        record = self._write(change(old))
        if record.closed:
            self._close(session_id)
        elif record.epoch != old.epoch:
            self._lease(session_id)
        return record

    async def renew(self, epochs: Mapping[str, int]) -> frozenset[str]:
        """Extend leases; return those that are no longer the caller's."""
        lost = set()
        for session_id, epoch in epochs.items():
            if session_id in self._leases and self._records[session_id].epoch == epoch:
                self._lease(session_id)
            else:
                lost.add(session_id)
        return frozenset(lost)

    async def expired(self) -> Mapping[str, int]:
        """Take open sessions whose lease ran out."""
        now = time.monotonic()
        taken = [session_id for session_id, until in self._leases.items() if until <= now]
        for session_id in taken:
            self._lease(session_id)
        return {session_id: self._records[session_id].epoch for session_id in taken}

    def _write(self, record: SessionRecord) -> SessionRecord:
        written = dataclasses.replace(record, updated_unix_us=unix_us())
        self._records[record.session_id] = written
        return written

    def _lease(self, session_id: str) -> None:
        self._leases[session_id] = time.monotonic() + self.lease_s

    def _close(self, session_id: str) -> None:
        self._leases.pop(session_id, None)
        self._closed[session_id] = None
        while len(self._closed) > self.kept_closed:
            oldest, _ = self._closed.popitem(last=False)
            del self._records[oldest]
