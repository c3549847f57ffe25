"""Redis away, slow, killed, or back with less than it had: what becomes of running sessions."""

import asyncio
import dataclasses
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from services.core import metrics
from services.core.errors import SessionUnknown, Unavailable
from services.state.behind import WriteBehind
from services.state.port import SessionRecord
from services.state.redis import RedisConfig, RedisSessionStore
from soundflow.interaction import Kind, PastTurn
from stack.redis import RedisServer
from tests.services.state.conftest import CLOCKS_S, expired
from tests.services.state.test_session_store import RECORD, close, numbered, take_over, unwritten
from tests.waiting import until

pytestmark = pytest.mark.redis

TIMEOUT_S = 1.0
# A deadline, and what a busy machine adds.
SOON_S = TIMEOUT_S + 1.0


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that a test may kill."""
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def redis(own_redis: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(own_redis.url) as client:
        yield client


@pytest.fixture
async def store(own_redis: RedisServer) -> AsyncIterator[RedisSessionStore]:
    store = a_store(own_redis)
    yield store
    await store.close()


@pytest.fixture
async def patient(own_redis: RedisServer) -> AsyncIterator[RedisSessionStore]:
    """A store that gives one try 1.5 s, and all of them 3."""
    store = a_store(own_redis, redis_timeout_s=3)
    yield store
    await store.close()


def a_store(server: RedisServer, **settings: Any) -> RedisSessionStore:
    settings = {"redis_timeout_s": TIMEOUT_S, "capacity": 100, **settings}
    return RedisSessionStore(RedisConfig(redis_url=SecretStr(server.url), **settings))


def more(record: SessionRecord) -> SessionRecord:
    return dataclasses.replace(record, window_start=record.window_start + 1)


def said(turn: int) -> PastTurn:
    return PastTurn(turn, Kind.ANSWER, f"answer {turn}")


async def refuses_soon(store: RedisSessionStore) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable, match="cannot be reached now"):
        await store.create(dataclasses.replace(RECORD, session_id="too-late"))
    assert time.monotonic() - began < SOON_S


async def test_every_call_says_soon_that_redis_is_away(
    own_redis: RedisServer, store: RedisSessionStore
) -> None:
    await store.create(RECORD)
    await store.check()
    own_redis.kill()
    calls = (
        store.check(),
        store.create(numbered(2)),
        store.get("s-1"),
        store.update("s-1", more),
        store.renew({"s-1": 0}),
        store.expired(),
    )
    errors = metrics.REDIS_ERRORS.labels("get")._value.get()
    began = time.monotonic()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable] * len(calls)
    assert time.monotonic() - began < SOON_S
    assert metrics.REDIS_ERRORS.labels("get")._value.get() == errors + 1


async def test_a_restart_shorter_than_the_deadline_goes_unnoticed(
    own_redis: RedisServer, patient: RedisSessionStore
) -> None:
    await patient.create(RECORD)
    own_redis.kill()
    updating = asyncio.create_task(patient.update("s-1", more))
    await asyncio.sleep(0.2)
    own_redis.launch()
    assert (await updating).window_start == 1


async def test_running_sessions_outlive_a_killed_redis(
    own_redis: RedisServer, store: RedisSessionStore
) -> None:
    """Under load: 50 sessions, each with progress ten times a second, and a turn now and then."""
    behind, going = WriteBehind(store, lazy_s=0.2), True
    progress = dict.fromkeys((f"s-{number}" for number in range(50)), 0)
    finished: dict[str, list[int]] = {session_id: [] for session_id in progress}

    async def run(session_id: str) -> None:
        while going:
            progress[session_id] += 1
            index = progress[session_id]
            behind.change(session_id, _Heard(index))
            if index % 5 == 0:
                finished[session_id].append(index)
                behind.change(session_id, _Finished(index), now=True)
            await asyncio.sleep(0.1)

    for session_id in progress:
        await store.create(dataclasses.replace(RECORD, session_id=session_id, turns=()))
    sessions = [asyncio.create_task(run(session_id)) for session_id in progress]
    await asyncio.sleep(1)
    own_redis.kill()
    before = dict(progress)
    await refuses_soon(store)
    await until(lambda: all(progress[one] > before[one] + 5 for one in progress))
    await asyncio.to_thread(own_redis.start)
    await asyncio.sleep(1)
    going = False
    await asyncio.gather(*sessions)
    await behind.close(within_s=10)
    for session_id in progress:
        record = await store.get(session_id)
        assert record.last_index == progress[session_id]
        assert [past.turn for past in record.turns] == finished[session_id]


@dataclasses.dataclass(frozen=True)
class _Heard:
    index: int

    def __call__(self, record: SessionRecord) -> SessionRecord:
        return dataclasses.replace(record, last_index=max(record.last_index, self.index))


@dataclasses.dataclass(frozen=True)
class _Finished:
    turn: int

    def __call__(self, record: SessionRecord) -> SessionRecord:
        others = [past for past in record.turns if past.turn != self.turn]
        return dataclasses.replace(record, turns=(*others, said(self.turn)))


async def test_what_was_answered_is_there_after_a_kill(
    own_redis: RedisServer, store: RedisSessionStore
) -> None:
    for number in range(100):
        await store.create(numbered(number))
    await store.update("s-7", close)
    own_redis.kill()
    await asyncio.to_thread(own_redis.start)
    stranger = a_store(own_redis)  # which knows nothing by itself
    for number in range(100):
        kept = await stranger.get(f"s-{number}")
        assert unwritten(kept) == dataclasses.replace(numbered(number), closed=kept.closed)
    assert (await stranger.get("s-7")).closed == "complete"
    await stranger.create(dataclasses.replace(RECORD, session_id="the one free place"))
    await stranger.close()


async def test_a_slow_answer_is_waited_for_and_written_once(
    patient: RedisSessionStore, redis: Redis
) -> None:
    """Longer than one try takes: the write is sent again, and arrives twice."""
    await patient.create(RECORD)
    await redis.client_pause(1700, all=True)
    began = time.monotonic()
    assert (await patient.update("s-1", more)).window_start == 1
    assert time.monotonic() - began > 1.5
    assert (await patient.get("s-1")).window_start == 1


async def test_a_create_that_is_sent_again_is_no_other_session(
    patient: RedisSessionStore, redis: Redis
) -> None:
    await patient.check()
    await redis.client_pause(1700, all=True)
    await patient.create(RECORD)
    assert unwritten(await patient.get("s-1")) == RECORD


async def test_an_answer_that_came_too_late_is_nobody_elses(
    own_redis: RedisServer, store: RedisSessionStore
) -> None:
    for number in range(20):
        await store.create(numbered(number))
    os.kill(own_redis.pid, signal.SIGSTOP)  # for longer than every try of all of them
    results = await asyncio.gather(
        *(store.get(f"s-{number}") for number in range(20)), return_exceptions=True
    )
    os.kill(own_redis.pid, signal.SIGCONT)
    assert {type(result) for result in results} == {Unavailable}
    await until(lambda: _answers(store))
    for number in range(20):
        assert (await store.get(f"s-{number}")).session_id == f"s-{number}"


async def _answers(store: RedisSessionStore) -> bool:
    try:
        await store.check()
    except Unavailable:
        return False
    return True


async def test_a_record_that_redis_lost_is_written_again_by_who_knows_it(
    own_redis: RedisServer, store: RedisSessionStore, redis: Redis
) -> None:
    await store.create(RECORD)
    await store.update("s-1", more)
    await redis.flushall()
    stranger = a_store(own_redis)
    with pytest.raises(SessionUnknown):
        await stranger.update("s-1", more)
    assert (await store.update("s-1", more)).window_start == 2
    assert (await stranger.get("s-1")).window_start == 2
    assert await stranger.renew({"s-1": 0}) == frozenset()  # its place is taken again too
    await stranger.close()


async def test_asking_for_a_lost_record_brings_it_back(
    store: RedisSessionStore, redis: Redis
) -> None:
    await store.create(RECORD)
    await redis.flushall()
    assert unwritten(await store.get("s-1")) == RECORD
    assert await redis.exists("soundflow:session:s-1")


async def test_renewing_brings_lost_leases_and_records_back(
    store: RedisSessionStore, redis: Redis
) -> None:
    for number in range(30):
        await store.create(numbered(number))
    await store.update("s-3", close)
    await store.update("s-4", take_over)
    await redis.flushall()
    lost = await store.renew({f"s-{number}": 0 for number in range(30)})
    assert lost == {"s-3", "s-4"}
    assert await redis.zcard("{soundflow:leases}:until") == 29  # s-4 too, in its holder's epoch
    assert await store.renew({"s-4": 1}) == frozenset()


async def test_writes_that_redis_lost_are_made_up_for(
    own_redis: RedisServer, store: RedisSessionStore, redis: Redis
) -> None:
    """As after a failover to a replica that was behind."""
    await store.create(RECORD)
    await redis.copy("soundflow:session:s-1", "copy")
    for _ in range(3):
        await store.update("s-1", more)
    await redis.rename("copy", "soundflow:session:s-1")
    stranger = a_store(own_redis)
    assert (await stranger.get("s-1")).window_start == 0
    assert (await store.update("s-1", more)).window_start == 4
    assert (await stranger.get("s-1")).window_start == 4
    await stranger.close()


async def test_a_time_without_redis_expires_nobody(own_redis: RedisServer) -> None:
    """Longer than a lease: no holder could renew, and each has time to do so now."""
    store = a_store(own_redis, lease_s=1.6)
    for number in range(2):
        await store.create(numbered(number))
    own_redis.kill()
    await asyncio.sleep(2)
    await asyncio.to_thread(own_redis.start)
    back = time.monotonic()
    # s-1's holder did not come back
    assert await expired(store, count=1, renewed={"s-0": 0}) == {"s-1": 0}
    assert time.monotonic() - back > 1.6 - CLOCKS_S
    await store.close()


async def test_a_session_closed_elsewhere_is_not_brought_back(
    own_redis: RedisServer, store: RedisSessionStore
) -> None:
    await store.create(RECORD)
    for _ in range(3):
        await store.update("s-1", more)
    stranger = a_store(own_redis)
    await stranger.update("s-1", close)
    assert (await store.update("s-1", more)).closed == "complete"
    assert await store.renew({"s-1": 0}) == {"s-1"}
    await stranger.close()
