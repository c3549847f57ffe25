"""The session store on Redis."""

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from services.core import metrics
from services.core.clock import unix_us
from services.core.errors import Overloaded, SessionExists, SessionUnknown, Unavailable
from services.state.port import Fenced, RecordBroken, SessionRecord
from services.state.redis.client import RedisClient
from services.state.redis.config import RedisConfig
from services.state.redis.known import Known
from services.state.redis.leases import Admission, Leases
from services.state.redis.records import Kept, Records

log = logging.getLogger(__name__)


class RedisSessionStore:
    """Session records of all replicas.

    Records and leases are apart, as a cluster keeps them apart. What a process does not finish
    (a place without a record, a closed record's place) ends with its lease.
    """

    def __init__(self, config: RedisConfig, *, retry_after_s: int = 5) -> None:
        self.config = config
        self.retry_after_s = retry_after_s
        self._client = RedisClient(config)
        self._records = Records(self._client, config)
        self._leases = Leases(self._client, config)
        self._known = Known(config.closed_kept_s)
        self._kept_since_s = time.monotonic()

    async def create(self, record: SessionRecord) -> None:
        """Keep a new record, where there is a place for it."""
        with _measured("create"):
            admission = await self._leases.admit(record.session_id, record.epoch)
            if admission is Admission.FULL:
                raise Overloaded(self.config.capacity, self.retry_after_s)
            # Also where the place is held: by an attempt whose answer was lost, or by a session
            # of that id, which then has a record.
            if not await self._create(record):
                if admission is Admission.ADMITTED:
                    await self._leases.release([record.session_id])
                raise SessionExists(record.session_id)

    async def get(self, session_id: str) -> SessionRecord:
        """Return a record."""
        with _measured("get"):
            kept = await self._read(session_id)
            if not kept.version:
                return await self._update(session_id, lambda record: record, None)
            return kept.record

    async def update(
        self,
        session_id: str,
        change: Callable[[SessionRecord], SessionRecord],
        *,
        epoch: int | None = None,
    ) -> SessionRecord:
        """Replace a record by what `change` makes of it: one round trip where it is known here."""
        with _measured("update"):
            return await self._update(session_id, change, epoch)

    async def renew(self, epochs: Mapping[str, int]) -> frozenset[str]:
        """Extend leases; return those that are no longer the caller's."""
        with _measured("renew"):
            lost = await self._leases.renew(epochs)
            gone = {id_ for id_ in lost if not await self._regain(id_, epochs[id_])}
            await self._keep([id_ for id_ in epochs if id_ not in gone])
            return frozenset(gone)

    async def expired(self) -> Mapping[str, int]:
        """Take open sessions whose lease ran out; free the places of those that are not open."""
        with _measured("expired"):
            taken = await self._leases.expired()
            epochs = {id_: await self._epoch_if_open(id_) for id_ in taken}
            if not_open := [id_ for id_, epoch in epochs.items() if epoch is None]:
                await self._leases.release(not_open)
            return {id_: epoch for id_, epoch in epochs.items() if epoch is not None}

    async def check(self) -> None:
        """Raise Unavailable while Redis does not answer."""
        await self._client.check()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _create(self, record: SessionRecord) -> bool:
        """Write the first version of a record; return whether there was none."""
        try:
            kept, written = await self._records.write(Kept("", 0, record), _stamped(record))
        except RecordBroken:
            return False
        if written and kept:
            self._known.put(kept)
        return written

    async def _read(self, session_id: str) -> Kept:
        """Return the record to start from. SessionUnknown."""
        return self._newest(session_id, await self._records.read(session_id))

    def _newest(self, session_id: str, there: Kept | None) -> Kept:
        newest = self._known.newest(session_id, there)
        if newest is None:
            raise SessionUnknown(session_id)
        if newest is not there:
            log.warning("session %s: Redis lost its record, or part of it", session_id)
        return newest

    async def _update(
        self,
        session_id: str,
        change: Callable[[SessionRecord], SessionRecord],
        epoch: int | None,
    ) -> SessionRecord:
        base, fresh = self._known.get(session_id), False
        while True:
            if base is None:
                base, fresh = await self._read(session_id), True
            try:
                if epoch is not None and base.record.epoch != epoch:
                    raise Fenced(session_id)
                record = _stamped(change(base.record))
            except Exception:
                if fresh:
                    raise
                base = None  # what is known here may be old
                continue
            there, written = await self._records.write(base, record)
            if there and written:
                self._known.put(there)
                await self._follow(base, record)
                return record
            base, fresh = self._newest(session_id, there), True

    async def _follow(self, base: Kept, record: SessionRecord) -> None:
        """Let the lease be as the record is now."""
        if record.closed:
            # It is closed all the same, and that must not look as if it had failed.
            with suppress(Unavailable):
                await self._leases.release([record.session_id])
        elif record.epoch != base.record.epoch or not base.version:
            await self._leases.take(record.session_id, record.epoch)

    async def _regain(self, session_id: str, epoch: int) -> bool:
        """Lease a session again whose lease was lost, not taken; return whether it was so."""
        try:
            record = await self.get(session_id)
        except (SessionUnknown, RecordBroken):
            return False
        if record.closed or record.epoch != epoch:
            return False
        await self._leases.take(session_id, epoch)
        return True

    async def _keep(self, session_ids: list[str]) -> None:
        """Let no record of an open session expire, however long nothing is written in it."""
        now_s = time.monotonic()
        if session_ids and now_s - self._kept_since_s > self.config.closed_kept_s / 4:
            await self._records.keep(session_ids)
            self._kept_since_s = now_s

    async def _epoch_if_open(self, session_id: str) -> int | None:
        try:
            kept = await self._records.read(session_id)
        except RecordBroken:
            log.exception("session %s is given up", session_id)
            return None
        return None if kept is None or kept.record.closed else kept.record.epoch


def _stamped(record: SessionRecord) -> SessionRecord:
    return dataclasses.replace(record, updated_unix_us=unix_us())


@contextmanager
def _measured(operation: str) -> Iterator[None]:
    with metrics.REDIS_SECONDS.labels(operation).time():
        try:
            yield
        except Unavailable:
            metrics.REDIS_ERRORS.labels(operation).inc()
            raise
