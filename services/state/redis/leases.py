"""Leases: who of all replicas holds which session, and how many places are taken."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from redis.commands.core import AsyncScript

from services.core import metrics
from services.state.redis.client import RedisClient
from services.state.redis.config import RedisConfig

# One script holds up all others while it runs: so many sessions are a few milliseconds.
BATCH = 500


class Admission(StrEnum):
    """How a request for a place went; `held`: the session has one already."""

    ADMITTED = "admitted"
    FULL = "full"
    HELD = "held"


class Leases:
    """One sorted set of sessions by the end of their lease, with their holders' epochs.

    A session has a place for as long as it is in the set, so the set's size is the number of open
    sessions: checked and added to by one script, it never passes the capacity. The braces make
    the keys one slot of a cluster, as scripts of several keys need.
    """

    def __init__(self, client: RedisClient, config: RedisConfig) -> None:
        self._client = client
        self._keys = [
            f"{{{config.redis_prefix}:leases}}:{part}" for part in ("until", "epochs", "seen")
        ]
        self._capacity = config.capacity
        self._lease_ms = round(config.lease_s * 1000)
        self._admit = client.script("now", "admit")
        self._take = client.script("now", "take")
        self._renew = client.script("now", "renew")
        self._expired = client.script("now", "expired")
        self._release = client.script("release")
        metrics.PLATFORM_CAPACITY.set(config.capacity)

    async def admit(self, session_id: str, epoch: int) -> Admission:
        """Give a new session a place and a lease."""
        args = (session_id, epoch, self._capacity, self._lease_ms)
        count, admission = await self._run(self._admit, args)
        metrics.PLATFORM_SESSIONS.set(count)
        return Admission(admission.decode())

    async def take(self, session_id: str, epoch: int) -> None:
        """Give a running session a new lease, with or without a free place."""
        await self._run(self._take, (session_id, epoch, self._lease_ms))

    async def renew(self, epochs: Mapping[str, int]) -> list[str]:
        """Extend leases; return the sessions that have none, or a newer holder."""
        lost = []
        for batch in _batches(list(epochs.items())):
            args = [part for one in batch for part in one]
            count, *others = await self._run(self._renew, (self._lease_ms, *args))
            metrics.PLATFORM_SESSIONS.set(count)
            lost += [session_id.decode() for session_id in others]
        return lost

    async def expired(self) -> list[str]:
        """Take sessions whose lease ran out, at most BATCH of them."""
        taken = await self._run(self._expired, (self._lease_ms, BATCH))
        return [session_id.decode() for session_id in taken]

    async def release(self, session_ids: Iterable[str]) -> None:
        """Free the places of sessions; one that has none is no error."""
        metrics.PLATFORM_SESSIONS.set(await self._run(self._release, tuple(session_ids)))

    async def _run(self, script: AsyncScript, args: Sequence[Any]) -> Any:
        return await self._client.run(script, self._keys, args)


def _batches(items: list[tuple[str, int]]) -> Iterable[list[tuple[str, int]]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))
