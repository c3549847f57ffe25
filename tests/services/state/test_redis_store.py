"""What only a store on Redis can get wrong: more than one process, keys that stay, bad records."""

import asyncio
import dataclasses
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from services.core import metrics
from services.core.errors import Overloaded, SessionExists, SessionUnknown, Unavailable
from services.state.port import Fenced, RecordBroken, SessionRecord
from services.state.redis import RedisConfig, RedisSessionStore
from stack.redis import RedisServer
from tests.services.state.conftest import expired
from tests.services.state.racer import CAPACITY, RACERS
from tests.services.state.test_session_store import RECORD, close, numbered, take_over
from tests.waiting import DEADLINE_S, until

pytestmark = pytest.mark.redis

ROOT = Path(__file__).parents[3]


class Replicas:
    """Stores of several processes over the same records, and a look at the keys themselves."""

    def __init__(self, server: RedisServer, prefix: str) -> None:
        self.server = server
        self.prefix = prefix
        self.redis = Redis.from_url(server.url)
        self._stores: list[RedisSessionStore] = []

    def store(self, **settings: Any) -> RedisSessionStore:
        url = SecretStr(self.server.url)
        config = RedisConfig(redis_url=url, redis_prefix=self.prefix, **settings)
        self._stores.append(RedisSessionStore(config))
        return self._stores[-1]

    def key(self, session_id: str) -> str:
        return f"{self.prefix}:session:{session_id}"

    async def keys(self) -> list[str]:
        return sorted([key.decode() async for key in self.redis.scan_iter(f"*{self.prefix}*")])

    async def calls(self) -> dict[str, int]:
        stats = await self.redis.info("commandstats")
        return {name: stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in _ASKED}

    async def close(self) -> None:
        for store in self._stores:
            await store.close()
        await self.redis.aclose()


_ASKED = ("evalsha", "hmget")


@pytest.fixture
async def replicas(redis_server: RedisServer, prefix: str) -> AsyncIterator[Replicas]:
    replicas = Replicas(redis_server, prefix)
    yield replicas
    await replicas.close()


def more(record: SessionRecord) -> SessionRecord:
    return dataclasses.replace(record, window_start=record.window_start + 1)


async def test_processes_that_race_never_pass_the_capacity(replicas: Replicas) -> None:
    command = (sys.executable, "-m", "tests.services.state.racer", replicas.server.url)
    racers = [
        await asyncio.create_subprocess_exec(
            *command, replicas.prefix, f"racer{number}", cwd=ROOT, stdout=-1
        )
        for number in range(RACERS)
    ]
    said = [json.loads((await racer.communicate())[0]) for racer in racers]
    assert max(one["most"] for one in said) == CAPACITY
    assert all(one["admitted"] > 0 for one in said)
    assert sum(one["refused"] for one in said) > 0


async def test_opens_of_the_same_moment_never_pass_the_capacity(replicas: Replicas) -> None:
    stores = [replicas.store(capacity=10) for _ in range(2)]
    for round_ in range(20):
        ids = [f"s-{round_}-{number}" for number in range(30)]
        records = [dataclasses.replace(RECORD, session_id=session_id) for session_id in ids]
        results = await asyncio.gather(
            *(stores[index % 2].create(record) for index, record in enumerate(records)),
            return_exceptions=True,
        )
        opened = [id_ for id_, result in zip(ids, results, strict=True) if result is None]
        assert len(opened) == 10
        assert sum(isinstance(result, Overloaded) for result in results) == 20
        await asyncio.gather(*(stores[0].update(session_id, close) for session_id in opened))


async def test_one_id_is_taken_once_however_many_try_at_once(replicas: Replicas) -> None:
    stores = [replicas.store(capacity=10) for _ in range(4)]
    for number in range(20):
        results = await asyncio.gather(
            *(store.create(numbered(number)) for store in stores), return_exceptions=True
        )
        assert sum(result is None for result in results) == 1
        assert sum(isinstance(result, SessionExists) for result in results) == 3
        await stores[0].update(f"s-{number}", close)  # its one place is given back


async def test_what_a_process_knows_of_a_record_may_be_old(replicas: Replicas) -> None:
    def closed(record: SessionRecord) -> SessionRecord:
        if record.decoder != "d-2":
            raise ValueError(f"it is at {record.decoder!r}")
        return dataclasses.replace(record, closed="complete")

    ours, theirs = replicas.store(), replicas.store()
    await ours.create(RECORD)
    await theirs.update("s-1", lambda old: dataclasses.replace(old, decoder="d-2"))
    assert (await ours.update("s-1", closed)).closed == "complete"
    with pytest.raises(SessionUnknown):
        await theirs.update("s-2", more)


async def test_a_holder_that_was_fenced_finds_out_at_its_next_write(replicas: Replicas) -> None:
    ours, theirs = replicas.store(), replicas.store()
    await ours.create(RECORD)
    await ours.update("s-1", more, epoch=0)
    await theirs.update("s-1", take_over)
    with pytest.raises(Fenced):
        await ours.update("s-1", more, epoch=0)
    assert (await theirs.get("s-1")).window_start == 1
    assert await ours.renew({"s-1": 0}) == {"s-1"}


async def test_writers_of_many_processes_lose_nothing(replicas: Replicas) -> None:
    stores = [replicas.store() for _ in range(3)]
    await stores[0].create(RECORD)
    await asyncio.gather(*(store.update("s-1", more) for store in stores for _ in range(30)))
    assert (await stores[0].get("s-1")).window_start == 90


async def test_an_update_is_one_round_trip(replicas: Replicas) -> None:
    store = replicas.store()
    await store.create(RECORD)
    before = await replicas.calls()
    for _ in range(10):
        await store.update("s-1", more)
    after = await replicas.calls()
    assert {name: after[name] - before[name] for name in _ASKED} == {"evalsha": 10, "hmget": 0}


async def test_an_expired_session_is_given_to_one_process(replicas: Replicas) -> None:
    stores = [replicas.store(lease_s=2) for _ in range(4)]
    for number in range(50):
        await stores[0].create(numbered(number))
    assert await expired(*stores, count=50) == {f"s-{number}": 0 for number in range(50)}
    assert await asyncio.gather(*(store.expired() for store in stores)) == [{}] * 4


async def test_ten_thousand_sessions_leave_no_key(replicas: Replicas) -> None:
    store = replicas.store(capacity=40, closed_kept_s=2, lease_s=0.5, redis_timeout_s=DEADLINE_S)

    async def open_and_close(session_id: str) -> None:
        await store.create(dataclasses.replace(RECORD, session_id=session_id))
        await store.update(session_id, more)
        await store.update(session_id, close)

    for start in range(0, 10_000, 40):
        await asyncio.gather(*(open_and_close(f"s-{start + step}") for step in range(40)))
    left = await replicas.keys()
    assert all(":session:" in key or key.endswith(":seen") for key in left)
    assert len(store._known._records) == 0
    await asyncio.sleep(2.5)
    assert await replicas.keys() == []


async def test_a_renewed_record_lives_on_and_another_does_not(replicas: Replicas) -> None:
    store = replicas.store(closed_kept_s=0.8, lease_s=0.6)
    await store.create(numbered(0))
    await store.create(numbered(1))
    for _ in range(10):
        await asyncio.sleep(0.15)
        assert await store.renew({"s-0": 0}) == frozenset()
    assert (await store.get("s-0")).session_id == "s-0"
    with pytest.raises(SessionUnknown):
        await store.get("s-1")
    assert await store.expired() == {}  # it has a lease, and no record any more
    assert metrics.PLATFORM_SESSIONS._value.get() == 1


async def test_a_place_without_a_record_is_given_back_with_its_lease(replicas: Replicas) -> None:
    store = replicas.store(capacity=1, lease_s=0.2)
    await store._leases.admit("died-while-opening", 0)
    with pytest.raises(Overloaded):
        await store.create(RECORD)
    await until(lambda: opens(store, RECORD))


async def opens(store: RedisSessionStore, record: SessionRecord) -> bool:
    """Open a session if there is a place; meanwhile nobody has one to be taken."""
    assert await store.expired() == {}
    try:
        await store.create(record)
    except Overloaded:
        return False
    return True


async def test_a_session_closes_though_redis_is_away_before_its_place_is_free(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_sessions: object) -> None:
        raise Unavailable("store_unavailable", "for the test")

    store = replicas.store(capacity=1, lease_s=0.2)
    await store.create(RECORD)
    with monkeypatch.context() as patch:
        patch.setattr(store._leases, "release", away)
        assert (await store.update("s-1", close)).closed == "complete"
    with pytest.raises(Overloaded):
        await store.create(numbered(2))
    await until(lambda: opens(store, numbered(2)))


@pytest.mark.parametrize(
    "document",
    [b"\xff\x00", b"{}", b'{"schema":2,"record":{}}', b'{"schema":1,"record":{"session_id":1}}'],
)
async def test_a_record_that_is_not_readable_costs_its_session_alone(
    replicas: Replicas, document: bytes
) -> None:
    store = replicas.store(capacity=2, lease_s=0.3)
    await store.create(numbered(0))
    await store.create(numbered(1))
    await replicas.redis.hset(
        replicas.key("s-0"), mapping={"version": "9.other.1", "record": document}
    )
    await assert_broken(store)


async def test_a_key_of_another_kind_costs_its_session_alone(replicas: Replicas) -> None:
    store = replicas.store(capacity=2, lease_s=0.3)
    await store.create(numbered(0))
    await store.create(numbered(1))
    await replicas.redis.set(replicas.key("s-0"), "not ours")
    await assert_broken(store)


async def assert_broken(store: RedisSessionStore) -> None:
    """Of the two sessions the first has no readable record: its place is given back."""
    for _ in range(2):
        with pytest.raises(RecordBroken, match="s-0"):
            await store.get("s-0")
        with pytest.raises(RecordBroken, match="s-0"):
            await store.update("s-0", more)
        with pytest.raises(SessionExists):
            await store.create(numbered(0))
    assert (await store.update("s-1", more)).window_start == 1
    assert await expired(store, count=1) == {"s-1": 0}
    await store.create(numbered(2))
    with pytest.raises(Overloaded):
        await store.create(numbered(3))


async def test_the_metrics_say_how_full_the_platform_is(replicas: Replicas) -> None:
    store = replicas.store(capacity=7)
    for number in range(3):
        await store.create(numbered(number))
    assert metrics.PLATFORM_CAPACITY._value.get() == 7
    assert metrics.PLATFORM_SESSIONS._value.get() == 3
    await store.update("s-1", close)
    assert metrics.PLATFORM_SESSIONS._value.get() == 2


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDFLOW_REDIS_URL", "redis://:secret@redis.example:6380/2")
    monkeypatch.setenv("SOUNDFLOW_CAPACITY", "250")
    config = RedisConfig()
    assert config.redis_url.get_secret_value() == "redis://:secret@redis.example:6380/2"
    assert (config.capacity, config.lease_s, config.redis_prefix) == (250, 15, "soundflow")
    assert "secret" not in repr(config)
