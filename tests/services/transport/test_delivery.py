"""What the way back to callers promises (services/transport/port.py), in one process and over gRPC.

Behind it are real ingestion services: an event counts as delivered when its caller could read it.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from prometheus_client import REGISTRY

from services.core.events import CallerEvent, CloseReason, DecisionMade, Event, SessionClosed
from services.ingestion.outbox import Outbox
from services.ingestion.resuming import Claim
from services.state.port import SessionRecord
from services.transport.grpc_delivery import GrpcDelivery, run_delivery
from services.transport.grpc_delivery_server import DeliveryServer
from services.transport.grpc_holder import GrpcHolders
from services.transport.port import Delivered, Delivery
from soundflow.interaction import SessionSpec
from tests.services.ingestion.rig import Rig, decision, make_rig, replica_of
from tests.waiting import DEADLINE_S, until


def chunks(outbox: Outbox) -> list[int]:
    """Return the decisions that wait for a caller."""
    events = [told.event for told in outbox._events]
    return [event.chunk for event in events if isinstance(event, DecisionMade)]


async def call(rig: Rig, *session_ids: str) -> Outbox:
    outbox = Outbox(capacity=1000, sessions=len(session_ids))
    await rig.service.open(SessionSpec(), session_ids, outbox, face="test")
    return outbox


async def send(delivery: Delivery, rig: Rig, session_id: str, *events: Event) -> None:
    """Record events and deliver them together, as response does one by one."""
    await delivery.deliver([await rig.record(session_id, event) for event in events])


@asynccontextmanager
async def serving(rig: Rig, port: int = 0) -> AsyncIterator[Rig]:
    """Serve delivery for a replica; yield it with its address."""
    server = DeliveryServer("127.0.0.1", port)
    replica = replica_of(rig, f"127.0.0.1:{server.port}", GrpcHolders())
    async with server.serving(replica.service):
        yield replica


@asynccontextmanager
async def in_process() -> AsyncIterator[tuple[Rig, Delivery]]:
    rig = make_rig()
    yield rig, rig.service


@asynccontextmanager
async def over_grpc() -> AsyncIterator[tuple[Rig, Delivery]]:
    async with serving(make_rig()) as rig, run_delivery(rig.store) as delivery:
        yield rig, delivery


each_way = pytest.mark.parametrize("way", [in_process, over_grpc])
Way = Callable[[], AbstractAsyncContextManager[tuple[Rig, Delivery]]]


@each_way
async def test_events_arrive_in_order_each_once(way: Way) -> None:
    async with way() as (rig, delivery):
        outbox = await call(rig, "a")
        for chunk in range(50):
            await send(delivery, rig, "a", decision(chunk))
        await until(lambda: chunks(outbox) == list(range(50)))


@each_way
async def test_sessions_do_not_get_each_others_events(way: Way) -> None:
    async with way() as (rig, delivery):
        first, second = await call(rig, "a"), await call(rig, "b")
        for chunk in range(10):
            await send(delivery, rig, "ab"[chunk % 2], decision(chunk))
        await until(lambda: len(chunks(first)) + len(chunks(second)) == 10)
    assert chunks(first) == [0, 2, 4, 6, 8]
    assert chunks(second) == [1, 3, 5, 7, 9]


@each_way
async def test_what_is_delivered_again_is_told_once(way: Way) -> None:
    async with way() as (rig, delivery):
        outbox = await call(rig, "a")
        delivered = await rig.record("a", decision(0))
        again = dataclasses.replace(delivered.told, id=0)
        await delivery.deliver([delivered, delivered, Delivered(again)])
        await send(delivery, rig, "a", decision(0))  # recorded twice: done again after a failure
        await send(delivery, rig, "a", decision(1))
        await until(lambda: chunks(outbox) == [0, 1])


@each_way
async def test_what_was_recorded_and_not_delivered_is_told_before_what_follows(way: Way) -> None:
    async with way() as (rig, delivery):
        outbox = await call(rig, "a")
        await send(delivery, rig, "a", decision(0))
        for chunk in (1, 2):
            await rig.record("a", decision(chunk))
        await send(delivery, rig, "a", decision(3))
        await until(lambda: chunks(outbox) == [0, 1, 2, 3])


@each_way
async def test_delivering_waits_for_no_caller(way: Way) -> None:
    async with way() as (rig, delivery):
        await call(rig, "deaf")
        outbox = await call(rig, "a")
        async with asyncio.timeout(DEADLINE_S):
            for chunk in range(300):
                await send(delivery, rig, "deaf", decision(chunk))
            await send(delivery, rig, "a", decision(0))
        await until(lambda: chunks(outbox) == [0])


@each_way
async def test_events_of_nobody_are_no_trouble(way: Way) -> None:
    async with way() as (rig, delivery):
        outbox = await call(rig, "a")
        await send(delivery, rig, "nobody", decision(0))
        await send(delivery, rig, "a", decision(0))
        await until(lambda: chunks(outbox) == [0])


@each_way
async def test_the_end_is_delivered_too(way: Way) -> None:
    async with way() as (rig, delivery):
        outbox = await call(rig, "a")
        closed = SessionClosed(CloseReason.COMPLETE, 1, 0)
        await send(delivery, rig, "a", decision(0), closed)
        async with asyncio.timeout(DEADLINE_S):
            told = [told.event async for told in outbox]
    assert told[-2:] == [decision(0), closed]


# Over gRPC: replicas that go and come


@dataclass
class Store:
    """A store that counts how often records are asked for."""

    rig: Rig
    asked: list[str] = field(default_factory=list)

    async def get(self, session_id: str) -> SessionRecord:
        self.asked.append(session_id)
        return await self.rig.store.get(session_id)


def undelivered() -> float:
    return REGISTRY.get_sample_value("soundflow_events_undelivered_total") or 0.0


async def token_of(outbox: Outbox) -> str:
    opened = outbox._events[0].event
    return str(getattr(opened, "resume_token"))  # noqa: B009 - only SessionOpened has one


async def test_a_holder_is_looked_up_once() -> None:
    async with serving(make_rig()) as rig:
        store = Store(rig)
        async with run_delivery(store) as delivery:  # type: ignore[arg-type]
            outbox = await call(rig, "a")
            for chunk in range(20):
                await send(delivery, rig, "a", decision(chunk))
                await asyncio.sleep(0.002)
            await until(lambda: len(chunks(outbox)) == 20)
    assert store.asked == ["a"]


async def test_a_session_that_moved_is_found_where_it_is_now() -> None:
    async with (
        serving(make_rig()) as first,
        serving(first) as second,
        run_delivery(first.store) as delivery,
    ):
        before = await call(first, "a")
        await send(delivery, first, "a", decision(0))
        await until(lambda: chunks(before) == [0])
        after = Outbox(capacity=1000, sessions=1)
        last_id = before._events[-1].id
        await second.service.resume([Claim("a", await token_of(before), last_id)], after)
        assert not first.service.holds("a")  # it was told to let go
        for chunk in range(1, 20):
            await send(delivery, first, "a", decision(chunk))
        await until(lambda: chunks(after) == list(range(1, 20)))
    assert chunks(before) == [0]


async def test_what_a_dead_replica_did_not_get_is_told_by_the_next_one() -> None:
    rig = make_rig()
    async with run_delivery(rig.store) as delivery, serving(rig) as second:
        async with serving(rig) as first:
            before = await call(first, "a")
            await send(delivery, first, "a", decision(0))
            await until(lambda: chunks(before) == [0])
        for chunk in range(1, 10):
            await send(delivery, rig, "a", decision(chunk))
            await asyncio.sleep(0.01)
        after = Outbox(capacity=1000, sessions=1)
        last_id = before._events[-1].id
        await second.service.resume([Claim("a", await token_of(before), last_id)], after)
        await until(lambda: chunks(after) == list(range(1, 10)))
        await send(delivery, rig, "a", decision(10))
        await until(lambda: chunks(after) == list(range(1, 11)))


async def test_a_last_event_finds_a_holder_that_comes_late() -> None:
    rig = make_rig()
    async with serving(rig) as gone:
        before = await call(gone, "a")
    delivery = GrpcDelivery(rig.store, look_again_s=0.05)
    closed = SessionClosed(CloseReason.COMPLETE, 1, 0)
    await send(delivery, rig, "a", decision(0), closed)
    await asyncio.sleep(0.3)
    async with serving(rig) as second:
        after = Outbox(capacity=1000, sessions=1)
        await second.service.resume([Claim("a", await token_of(before))], after)
        async with asyncio.timeout(DEADLINE_S):
            told = [told.event async for told in after]
    await delivery.close()
    assert told[1:] == [decision(0), closed]


async def test_one_dead_replica_holds_up_nobody_elses_events() -> None:
    rig = make_rig()
    async with serving(rig) as dead:
        await call(dead, "lost")
    async with serving(rig) as alive, run_delivery(rig.store) as delivery:
        outbox = await call(alive, "a")
        for chunk in range(100):
            await send(delivery, rig, "lost", decision(chunk))
            await send(delivery, rig, "a", decision(chunk))
        await until(lambda: chunks(outbox) == list(range(100)), within_s=2)


async def test_events_of_a_session_that_nobody_holds_are_given_up_and_counted() -> None:
    rig, before = make_rig(), undelivered()
    async with serving(rig) as dead:
        await call(dead, "lost")
    delivery = GrpcDelivery(rig.store, look_again_s=0.02, give_up_s=0.2)
    for chunk in range(500):
        await send(delivery, rig, "lost", decision(chunk))
    await until(lambda: not delivery._routes)
    await delivery.close()
    assert undelivered() - before == 500


async def test_a_session_that_its_holder_lost_is_looked_up_now_and_then() -> None:
    async with serving(make_rig()) as rig:
        await call(rig, "lost")
        rig.service._held.remove(rig.service._held.all()[0])
        store = Store(rig)
        delivery = GrpcDelivery(store, look_again_s=0.1)  # type: ignore[arg-type]
        for chunk in range(100):
            await send(delivery, rig, "lost", decision(chunk))
            await asyncio.sleep(0.005)
        await delivery.close()
    # First, once more at once as it may have moved, then every tenth of a second of at most two.
    assert 3 <= len(store.asked) <= 22


async def test_a_session_that_is_over_and_held_by_nobody_is_forgotten_at_once() -> None:
    rig = make_rig()
    async with serving(rig) as replica, run_delivery(rig.store) as delivery:
        await call(replica, "a")
        await replica.service.close("a", CloseReason.CLOSED_BY_CALLER)
        await send(delivery, rig, "a", decision(0))
        await until(lambda: not delivery._routes, within_s=1)
        told = CallerEvent("never", decision(0), id=9)
        await delivery.deliver([Delivered(told)])
        await until(lambda: not delivery._routes, within_s=1)


async def test_a_replica_that_comes_back_on_its_address_gets_events_again() -> None:
    rig = make_rig()
    async with serving(rig) as first:
        port = int(first.service.address.partition(":")[2])
        await call(first, "a")
    async with AsyncExitStack() as stack:
        delivery = await stack.enter_async_context(run_delivery(rig.store))
        await send(delivery, rig, "a", decision(0))
        await asyncio.sleep(0.2)
        second = await stack.enter_async_context(serving(rig, port))
        outbox = await call(second, "b")
        await send(delivery, rig, "b", decision(0))
        await until(lambda: chunks(outbox) == [0])
