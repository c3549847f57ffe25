"""Leases: kept, lost, left behind; and a store that is away."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from services.core.errors import Overloaded, Unavailable
from services.core.events import CloseReason, ErrorEvent, SessionClosed
from services.core.messages import Closed
from services.inference.config import InferenceConfig
from services.ingestion.config import IngestionConfig
from services.ingestion.leases import Leases, check_renewal
from services.ingestion.main import run_replica
from services.ingestion.outbox import Outbox
from services.ingestion.records import TakeOver
from services.state.memory import MemorySessionStore
from services.state.port import RecordBroken, SessionRecord
from services.state.redis.config import RedisConfig
from services.transport.kafka.config import KafkaConfig
from soundflow.interaction import SessionSpec
from tests.services.ingestion.caller import Caller, chunk
from tests.services.ingestion.rig import Rig, make_rig, replica_of, unread
from tests.waiting import DEADLINE_S, until

LEASE_S = 0.3
AWAY = Unavailable("store_unavailable", "Redis does not answer")


async def call(rig: Rig, session_id: str) -> Outbox:
    outbox = Outbox(capacity=100, sessions=1)
    await rig.service.open(SessionSpec(), [session_id], outbox, face="test")
    return outbox


def short_leases() -> Rig:
    rig = make_rig(lease_renew_s=LEASE_S / 3)
    rig.store.lease_s = LEASE_S
    return rig


def leases(rig: Rig) -> Leases:
    held = rig.service._held
    return Leases(rig.store, LEASE_S / 3, held.epochs, held.check, held.reap)


class Away:
    """A store that is away while `away`."""

    def __init__(self, store: MemorySessionStore) -> None:
        self.store = store
        self.away = True

    def __getattr__(self, name: str) -> Any:
        call: Callable[..., Awaitable[Any]] = getattr(self.store, name)

        async def asked(*args: Any, **options: Any) -> Any:
            if self.away:
                raise AWAY
            return await call(*args, **options)

        return asked


def with_store_away(rig: Rig) -> Away:
    store = Away(rig.store)
    for part in (rig.service, rig.service._resuming):
        object.__setattr__(part, "store", store)
    object.__setattr__(rig.service._held, "store", store)
    rig.service.records.store = store
    return store


async def test_a_replica_that_runs_keeps_its_sessions() -> None:
    rig = short_leases()
    await call(rig, "a")
    running = asyncio.create_task(rig.service.run())
    await asyncio.sleep(2.5 * LEASE_S)
    assert await rig.store.expired() == {}
    assert rig.service.holds("a")
    running.cancel()


async def test_a_session_whose_replica_died_is_closed_by_another() -> None:
    dead = short_leases()
    await call(dead, "a")
    other = replica_of(dead, "other", lease_renew_s=LEASE_S / 3)
    running = asyncio.create_task(other.service.run())
    await until(lambda: Closed("client_gone", caller_told=False) in dead.changes("a"))
    assert (await dead.store.get("a")).closed == "client_gone"
    await asyncio.sleep(2 * LEASE_S)
    assert len(dead.changes("a")) == 2  # opened, and closed once
    running.cancel()


async def test_a_session_that_somebody_resumes_while_it_is_reaped_lives() -> None:
    rig = make_rig()
    await call(rig, "a")
    reaper = leases(replica_of(rig, "other"))

    async def expired() -> Mapping[str, int]:
        await rig.store.update("a", TakeOver("third"))
        return {"a": 0}

    reaper.store = type("Store", (), {"renew": rig.store.renew, "expired": staticmethod(expired)})()
    await reaper.round()
    assert (await rig.store.get("a")).closed == ""


async def test_a_session_that_was_taken_over_is_let_go_and_its_caller_told() -> None:
    rig = make_rig()
    outbox = await call(rig, "a")
    await rig.store.update("a", TakeOver("other"))
    await leases(rig).round()
    error = unread(outbox)[-1]
    assert isinstance(error, ErrorEvent)
    assert error.code == "session_moved"
    assert not rig.service.holds("a")
    record = await rig.store.get("a")
    assert (record.owner, record.closed) == ("other", "")
    assert len(rig.changes("a")) == 1


async def test_a_session_that_was_closed_elsewhere_ends_here_with_that_reason() -> None:
    rig = make_rig()
    outbox = await call(rig, "a")
    await rig.store.update("a", lambda record: dataclasses.replace(record, closed="idle"))
    await leases(rig).round()
    assert unread(outbox)[-1] == SessionClosed(CloseReason.IDLE, 0, 0)


async def test_a_session_whose_record_is_lost_ends_with_an_error() -> None:
    rig = make_rig()
    outbox = await call(rig, "a")
    del rig.store._records["a"], rig.store._leases["a"]
    await leases(rig).round()
    assert unread(outbox)[-1] == SessionClosed(CloseReason.ERROR, 0, 0)
    await until(lambda: rig.changes("a")[1:] == [Closed("error", caller_told=True)])


async def test_a_session_whose_record_is_not_readable_ends_with_an_error_and_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = make_rig()
    outbox = await call(rig, "a")
    await call(rig, "b")
    get = rig.store.get

    async def get_what_is_readable(session_id: str) -> SessionRecord:
        if session_id == "a":
            raise RecordBroken("a", "it is no JSON")
        return await get(session_id)

    monkeypatch.setattr(rig.store, "get", get_what_is_readable)
    del rig.store._leases["a"]
    await leases(rig).round()
    assert unread(outbox)[-1] == SessionClosed(CloseReason.ERROR, 0, 0)
    await until(lambda: rig.changes("a")[1:] == [Closed("error", caller_told=True)])
    assert rig.service.holds("b")


async def test_a_session_that_is_being_opened_is_not_taken_for_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig, goes_on = make_rig(), asyncio.Event()
    create = rig.store.create

    async def create_slowly(record: SessionRecord) -> None:
        await goes_on.wait()
        await create(record)

    monkeypatch.setattr(rig.store, "create", create_slowly)
    opening = asyncio.create_task(call(rig, "a"))
    await asyncio.sleep(0)
    await leases(rig).round()
    goes_on.set()
    await asyncio.wait_for(opening, DEADLINE_S)
    assert rig.service.holds("a")


# The store is away


async def test_while_the_store_is_away_sessions_go_on_and_nobody_new_is_let_in() -> None:
    rig = short_leases()
    outbox = await call(rig, "a")
    store = with_store_away(rig)
    running = asyncio.create_task(rig.service.run())
    await asyncio.sleep(2 * LEASE_S)
    assert rig.service.holds("a")
    assert [type(event).__name__ for event in unread(outbox)] == ["SessionOpened"]
    with pytest.raises(Unavailable):
        await call(rig, "b")
    assert rig.service.open_sessions == 1
    store.away = False
    await asyncio.sleep(2 * LEASE_S)
    assert rig.service.holds("a")
    assert (await rig.store.get("a")).closed == ""  # nobody took it for left behind
    await call(rig, "b")
    running.cancel()


async def test_once_the_store_is_back_holders_get_time_to_renew_before_anybody_is_closed() -> None:
    first = short_leases()
    await call(first, "a")
    second = replica_of(first, "second", lease_renew_s=LEASE_S / 3)
    store = with_store_away(second)
    running = asyncio.create_task(second.service.run())
    await asyncio.sleep(1.5 * LEASE_S)  # the lease ran out, and first could not renew it either
    store.away = False
    await asyncio.sleep(0.5 * LEASE_S)  # second has had its round, first has not
    assert (await first.store.get("a")).closed == ""
    await leases(first).round()
    await asyncio.sleep(0.5 * LEASE_S)
    assert (await first.store.get("a")).closed == ""
    running.cancel()


async def test_a_close_while_the_store_is_away_is_written_once_it_is_back() -> None:
    rig = make_rig()
    outbox = await call(rig, "a")
    store = with_store_away(rig)
    async with asyncio.timeout(DEADLINE_S):
        await rig.service.close("a", CloseReason.CLOSED_BY_CALLER)
    closed = SessionClosed(CloseReason.CLOSED_BY_CALLER, 0, 0)
    assert unread(outbox)[-1] == closed
    assert rig.changes("a")[1:] == [Closed("closed_by_caller", caller_told=True)]
    assert (await rig.store.get("a")).closed == ""
    store.away = False
    await rig.service.records.flush()
    assert (await rig.store.get("a")).closed == "closed_by_caller"


async def test_a_platform_that_is_full_refuses_although_this_replica_has_room() -> None:
    rig = make_rig()
    rig.store.capacity = 1
    await call(rig, "a")
    other = replica_of(rig, "other")
    with pytest.raises(Overloaded):
        await call(other, "b")
    assert other.service.open_sessions == 0
    await rig.service.close("a", CloseReason.CLOSED_BY_CALLER)
    await call(other, "b")


# The transport is away


async def test_audio_waits_for_a_transport_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    rig, failures = make_rig(), 3
    caller = await Caller("a").call(rig)
    send = rig.audio.send

    async def send_at_last(message: Any) -> int:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise Unavailable("transport_unavailable", "Kafka does not answer")
        return await send(message)

    monkeypatch.setattr(rig.audio, "send", send_at_last)
    for index in range(3):
        await asyncio.wait_for(rig.service.send(caller.sessions[0], chunk("a", index)), DEADLINE_S)
    assert rig.chunks("a") == [0, 1, 2]


async def test_audio_of_a_session_that_ended_waits_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)

    async def send(message: Any) -> int:
        raise Unavailable("transport_unavailable", "Kafka does not answer")

    monkeypatch.setattr(rig.audio, "send", send)
    sending = asyncio.create_task(rig.service.send(caller.sessions[0], chunk("a", 0)))
    await asyncio.sleep(0.05)
    await rig.service.close("a", CloseReason.CLOSED_BY_CALLER)
    await asyncio.wait_for(sending, DEADLINE_S)


def test_renewals_that_come_too_seldom_are_refused_at_the_start() -> None:
    check_renewal(5, 15)
    with pytest.raises(ValueError, match=r"SOUNDFLOW_LEASE_RENEW_S\) is 6.*lasts 15 s.*every 5 s"):
        check_renewal(6, 15)


async def test_a_replica_does_not_start_with_them() -> None:
    nowhere = InferenceConfig(decoder_addresses="127.0.0.1:9"), KafkaConfig()
    with pytest.raises(ValueError, match="SOUNDFLOW_LEASE_S"):
        async with run_replica(IngestionConfig(), *nowhere, RedisConfig(lease_s=5)):
            pass
