"""Carried states on a real broker: durable before a message counts as done, and found again."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from services.core import metrics, wire
from services.core.messages import CarriedMessage
from services.state.carried import Carried
from services.transport.kafka import KafkaConfig, KafkaTransport
from services.transport.kafka.carried import CarriedTable
from stack.kafka import KafkaServer
from tests.services.transport.kafka.cluster import PARTITIONS, fresh_config, said, sessions_of
from tests.waiting import DEADLINE_S, until

pytestmark = pytest.mark.kafka

GROUP = "perception"
PARTITION = 1


@pytest.fixture
def client(config: KafkaConfig) -> Iterator[KafkaConsumer]:
    client = KafkaConsumer(
        bootstrap_servers=config.brokers, group_id=config.group(GROUP), enable_auto_commit=False
    )
    yield client
    client.close()


@pytest.fixture
def config(kafka: KafkaServer) -> KafkaConfig:
    return fresh_config(kafka.brokers, kafka_commit_interval_s=0.3)


def member(config: KafkaConfig) -> KafkaTransport:
    return KafkaTransport(config, GROUP, [wire.SESSIONS], carries=True)


def written(config: KafkaConfig, client: KafkaConsumer) -> int:
    """Return how many changes the log of the partition has."""
    tp = TopicPartition(config.topic(wire.CARRIED.name), PARTITION)
    end: int = client.end_offsets([tp])[tp]
    return end


async def test_a_message_counts_as_done_only_when_what_it_put_is_written(
    config: KafkaConfig, client: KafkaConsumer
) -> None:
    [session] = sessions_of(PARTITION, 1)
    tp = TopicPartition(config.topic(wire.SESSIONS.name), PARTITION)
    transport = member(config)
    states = transport.carried_states()
    async with transport.running(), asyncio.timeout(DEADLINE_S):
        topic = transport.topic(wire.SESSIONS)
        await topic.send(said(session))
        received = await anext(topic.subscribe(GROUP))
        states.put(session, Carried(b"state", 1))
        received.done()
        committed = None
        while committed is None:
            committed = await asyncio.to_thread(client.committed, tp)
        assert committed == 1
        assert await asyncio.to_thread(written, config, client) == 1


async def test_while_nothing_can_be_written_no_message_counts_as_done(
    config: KafkaConfig, client: KafkaConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    [session] = sessions_of(PARTITION, 1)
    tp = TopicPartition(config.topic(wire.SESSIONS.name), PARTITION)
    transport = member(config)
    states = transport.carried_states()
    async with transport.running(), asyncio.timeout(DEADLINE_S):
        may_write = asyncio.Event()
        write = CarriedTable._write

        async def write_late(table: CarriedTable, *change: Any) -> None:
            await may_write.wait()
            await write(table, *change)

        monkeypatch.setattr(CarriedTable, "_write", write_late)
        topic = transport.topic(wire.SESSIONS)
        await topic.send(said(session))
        received = await anext(topic.subscribe(GROUP))
        states.put(session, Carried(b"state", 1))
        received.done()
        await asyncio.sleep(1.5)  # five commits
        assert await asyncio.to_thread(client.committed, tp) is None
        may_write.set()
        while await asyncio.to_thread(client.committed, tp) is None:
            pass


async def test_states_are_found_again_and_dropped_ones_are_not(config: KafkaConfig) -> None:
    sessions = [name for n in range(PARTITIONS) for name in sessions_of(n, 20)]
    transport = member(config)
    states = transport.carried_states()
    async with transport.running():
        await until(lambda: len(transport.inbox(wire.SESSIONS, GROUP).assigned) == PARTITIONS)
        for index in range(3):
            for session in sessions:
                states.put(session, Carried(session.encode() * 50, index))
        for session in sessions[::2]:
            states.drop(session)

    transport = member(config)
    states = transport.carried_states()
    async with transport.running():
        await until(lambda: len(transport.inbox(wire.SESSIONS, GROUP).assigned) == PARTITIONS)
        await until(lambda: transport._while_running().app.tables.actives_ready)
        for number, session in enumerate(sessions):
            expected = Carried(session.encode() * 50, 2) if number % 2 else None
            assert states.get(session) == expected


async def test_many_changes_of_a_session_are_one_in_the_log(
    config: KafkaConfig, client: KafkaConsumer
) -> None:
    [session] = sessions_of(PARTITION, 1)
    transport = member(config)
    states = transport.carried_states()
    async with transport.running():
        await until(lambda: len(transport.inbox(wire.SESSIONS, GROUP).assigned) == PARTITIONS)
        for index in range(100):
            states.put(session, Carried(b"state", index))
    assert 1 <= written(config, client) <= 2


@pytest.mark.parametrize("kind", ["random bytes", "under another's key"])
async def test_what_is_no_state_of_its_key_replaces_none(config: KafkaConfig, kind: str) -> None:
    [session] = sessions_of(PARTITION, 1)
    sound = Carried(b"state", 1)
    poisoned = {
        "random bytes": b"\xff" * 11,
        "under another's key": wire.CARRIED.dump(CarriedMessage("other", 9, b"other")),
    }
    async with recovered(config) as transport:
        transport.carried_states().put(session, sound)
    rejected = rejections()
    async with recovered(config) as transport:
        await transport.outbox.send(wire.CARRIED.name, session.encode(), poisoned[kind])
    async with recovered(config) as transport:
        assert transport.carried_states().get(session) == sound
        assert transport.carried_states().sessions() == [session]
    assert rejections() == rejected + 1


@asynccontextmanager
async def recovered(config: KafkaConfig) -> AsyncIterator[KafkaTransport]:
    """Run a member that knows all that was carried before."""
    transport = member(config)
    async with transport.running():
        await until(lambda: len(transport.inbox(wire.SESSIONS, GROUP).assigned) == PARTITIONS)
        await until(lambda: transport._while_running().app.tables.actives_ready)
        yield transport


def rejections() -> float:
    """Return how many messages were skipped in this process."""
    count: float = metrics.MESSAGES_REJECTED.labels(GROUP)._value.get()
    return count
