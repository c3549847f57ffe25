"""What becomes of messages on a real broker, whatever a consumer or a sender does."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import cast

import pytest
from faust.transport.consumer import Consumer
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from prometheus_client import REGISTRY

from services.core import wire
from services.core.errors import Failed, Unavailable
from services.core.generated.soundflow.v1 import stream_pb2 as pb
from services.core.messages import SessionMessage
from services.transport.kafka import KafkaConfig, KafkaTransport
from services.transport.kafka.partition import partition_of
from services.transport.port import Received
from stack.kafka import KafkaServer
from tests.services.transport.kafka.cluster import (
    PARTITIONS,
    fresh_config,
    said,
    sessions_of,
    text_of,
)
from tests.waiting import DEADLINE_S, until

pytestmark = pytest.mark.kafka

GROUP = "listeners"
PARTITION = 2


@pytest.fixture
def config(kafka: KafkaServer) -> KafkaConfig:
    return fresh_config(kafka.brokers, kafka_commit_interval_s=0.2)


def member(config: KafkaConfig) -> KafkaTransport:
    return KafkaTransport(config, GROUP, [wire.SESSIONS])


def committed(config: KafkaConfig, partition: int = PARTITION) -> int | None:
    """Ask the broker how far the group is, with another client than the one that told it."""
    consumer = KafkaConsumer(
        bootstrap_servers=config.brokers, group_id=config.group(GROUP), enable_auto_commit=False
    )
    try:
        offset: int | None = consumer.committed(
            TopicPartition(config.topic(wire.SESSIONS.name), partition)
        )
        return offset
    finally:
        consumer.close()


def dead_letters(config: KafkaConfig) -> list[tuple[bytes, dict[str, str]]]:
    consumer = KafkaConsumer(bootstrap_servers=config.brokers, auto_offset_reset="earliest")
    try:
        tps = [TopicPartition(config.topic(wire.DEAD_LETTERS), n) for n in range(PARTITIONS)]
        consumer.assign(tps)
        ends = consumer.end_offsets(tps)
        records = []
        while any(consumer.position(tp) < ends[tp] for tp in tps):
            for batch in consumer.poll(200).values():
                records += batch
        return [(each.value, {n: v.decode() for n, v in each.headers}) for each in records]
    finally:
        consumer.close()


def put_bytes(config: KafkaConfig, *values: bytes, key: bytes, max_bytes: int = 10**6) -> None:
    """Append bytes as a sender would that knows nothing of our messages."""
    producer = KafkaProducer(bootstrap_servers=config.brokers, max_request_size=max_bytes)
    try:
        for value in values:
            producer.send(config.topic(wire.SESSIONS.name), value, key).get(DEADLINE_S)
    finally:
        producer.close()


async def take(
    messages: AsyncIterator[Received[SessionMessage]], count: int
) -> list[Received[SessionMessage]]:
    async with asyncio.timeout(DEADLINE_S):
        return [await anext(messages) for _ in range(count)]


async def test_the_group_resumes_at_the_first_message_that_was_not_done(
    config: KafkaConfig,
) -> None:
    first, second = sessions_of(PARTITION, 2)
    transport = member(config)
    async with transport.running():
        topic = transport.topic(wire.SESSIONS)
        for number in range(10):
            await topic.send(said((first, second)[number % 2], str(number)))
        received = await take(topic.subscribe(GROUP), 10)
        for number in (0, 1, 2, 4, 5, 6, 7, 8, 9):  # all but one, as lanes of two sessions do
            received[number].done()
        await until(lambda: committed(config) == 3)
        await asyncio.sleep(1)  # five commits
        assert committed(config) == 3
    assert committed(config) == 3  # nor does a stop go past it

    transport = member(config)
    async with transport.running():
        again = await take(transport.topic(wire.SESSIONS).subscribe(GROUP), 7)
        assert [text_of(each.message) for each in again] == ["3", "4", "5", "6", "7", "8", "9"]
        for each in again:
            each.done()
    assert committed(config) == 10


async def test_offsets_without_a_message_hold_nothing_back(config: KafkaConfig) -> None:
    [session] = sessions_of(PARTITION, 1)
    producer = KafkaProducer(bootstrap_servers=config.brokers, transactional_id="holes")
    producer.init_transactions()
    for number in range(5):  # the end of each transaction takes an offset of its own
        producer.begin_transaction()
        value = wire.SESSIONS.dump(said(session, str(number)))
        producer.send(config.topic(wire.SESSIONS.name), value, session.encode())
        producer.commit_transaction()
    producer.close()

    transport = member(config)
    async with transport.running():
        received = await take(transport.topic(wire.SESSIONS).subscribe(GROUP), 5)
        for number in (4, 3, 2, 1):
            received[number].done()
        await asyncio.sleep(1)
        assert committed(config) in (None, 0)
        received[0].done()
        await until(lambda: committed(config) == 9)


async def test_what_a_rebalance_throws_away_comes_again_though_nothing_was_committed(
    config: KafkaConfig,
) -> None:
    transport = member(config)
    async with transport.running():
        topic, inbox = transport.topic(wire.SESSIONS), transport.inbox(wire.SESSIONS, GROUP)
        for number in range(3):
            await topic.send(said("s", str(number)))
        await until(lambda: inbox.standing().queued == 3)
        inbox._queue.clear()
        await cast(Consumer, transport._while_running().app.consumer).perform_seek()
        again = await take(topic.subscribe(GROUP), 3)
        assert [text_of(each.message) for each in again] == ["0", "1", "2"]


async def test_stopping_with_work_in_flight_is_quick(config: KafkaConfig) -> None:
    transport = member(config)
    async with transport.running():
        topic = transport.topic(wire.SESSIONS)
        for number in range(100):
            await topic.send(said(f"s-{number}"))
        await take(topic.subscribe(GROUP), 50)
        stopping_s = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - stopping_s < 3


async def test_no_more_messages_are_taken_than_may_be_in_flight_or_unacknowledged(
    kafka: KafkaServer,
) -> None:
    config = fresh_config(kafka.brokers, kafka_in_flight=5, kafka_unacknowledged=10)
    transport = member(config)
    async with transport.running():
        topic = transport.topic(wire.SESSIONS)
        for number in range(30):
            await topic.send(said("s", str(number)))
        messages = topic.subscribe(GROUP)
        received = await take(messages, 5)
        sixth = asyncio.create_task(take(messages, 1))
        await asyncio.sleep(0.5)
        assert not sixth.done()
        for each in received[1:]:  # they wait behind the first for their acknowledgement
            each.done()
            each.done()  # which frees no second place
        received += [*await sixth, *await take(messages, 3)]
        tenth = asyncio.create_task(take(messages, 1))
        await asyncio.sleep(0.5)
        assert not tenth.done()
        received[5].done()
        received += await tenth
        eleventh = asyncio.create_task(take(messages, 1))
        received[6].done()
        await asyncio.sleep(0.5)
        assert not eleventh.done()
        received[0].done()
        assert text_of((await eleventh)[0].message) == "10"


POISON = {
    "random bytes": random.Random(1).randbytes(300),
    "nothing": b"",
    "what another version wrote": b"\x08\xff\xff\xff\xff\x0f\x9a\x3f\x02hi",
    "named in an error that is larger than it": pb.SessionEvent(
        session_id="\x7f" * 600_000  # four characters each, as an error quotes them
    ).SerializeToString(),
    "as large as a message may be": random.Random(2).randbytes(wire.MAX_MESSAGE_BYTES - 200),
}


async def test_poison_is_set_aside_with_its_reason_and_costs_nobody_anything(
    config: KafkaConfig,
) -> None:
    [session] = sessions_of(PARTITION, 1)
    before = rejected()
    transport = member(config)
    async with transport.running():
        topic = transport.topic(wire.SESSIONS)
        await topic.send(said(session, "before"))
        max_bytes = wire.MAX_MESSAGE_BYTES
        await asyncio.to_thread(
            put_bytes, config, *POISON.values(), key=session.encode(), max_bytes=max_bytes
        )
        await topic.send(said(session, "after"))
        received = await take(topic.subscribe(GROUP), 2)
        assert [text_of(each.message) for each in received] == ["before", "after"]
        for each in received:
            each.done()
        await until(lambda: committed(config) == 2 + len(POISON))
    letters = dead_letters(config)
    assert [value for value, _ in letters] == list(POISON.values())
    for offset, (_, headers) in enumerate(letters, 1):
        assert headers["reason"].startswith("BadRequest: ")
        assert headers["topic"] == config.topic(wire.SESSIONS.name)
        assert headers["partition"] == str(PARTITION)
        assert headers["offset"] == str(offset)
        assert headers["group"] == GROUP
    assert rejected() - before == len(POISON)


def rejected() -> float:
    return REGISTRY.get_sample_value("soundflow_messages_rejected_total", {"service": GROUP}) or 0.0


async def test_a_message_that_a_service_rejects_is_set_aside_too(config: KafkaConfig) -> None:
    [session] = sessions_of(PARTITION, 1)
    transport = member(config)
    async with transport.running():
        topic = transport.topic(wire.SESSIONS)
        await topic.send(said(session, "bad"))
        [received] = await take(topic.subscribe(GROUP), 1)
        received.reject(LookupError("nobody knows it"))
        await until(lambda: committed(config) == 1)
    [(value, headers)] = dead_letters(config)
    assert value == wire.SESSIONS.dump(said(session, "bad"))
    assert headers["reason"] == "LookupError: nobody knows it"


async def test_a_message_that_is_too_large_is_refused_and_others_go_on(
    config: KafkaConfig,
) -> None:
    transport = KafkaTransport(config, "sender")
    async with transport.running():
        topic = transport.topic(wire.SESSIONS)
        with pytest.raises(Failed):
            await topic.send(said("s", "x" * 2 * wire.MAX_MESSAGE_BYTES))
        assert await topic.send(said("s", "small")) == 1


async def test_poison_is_skipped_where_history_is_read(config: KafkaConfig) -> None:
    transport = KafkaTransport(config, "reader")
    async with transport.running():
        topic = transport.topic(wire.SESSIONS)
        await topic.send(said("s", "before"))
        await asyncio.to_thread(put_bytes, config, b"poison", key=b"s")
        await topic.send(said("s", "after"))
        kept = [(each.position, text_of(each.message)) async for each in topic.read("s", 0)]
        assert kept == [(1, "before"), (3, "after")]


def test_keys_are_put_where_every_client_puts_them(config: KafkaConfig) -> None:
    keys = [f"key {number}".encode() for number in range(20)]
    producer = KafkaProducer(bootstrap_servers=config.brokers)
    sent = [producer.send(config.topic(wire.AUDIO.name), b"", key).get(DEADLINE_S) for key in keys]
    producer.close()
    assert [each.partition for each in sent] == [partition_of(key, PARTITIONS) for key in keys]


async def test_without_its_topics_a_process_does_not_start(kafka: KafkaServer) -> None:
    config = KafkaConfig(kafka_brokers=kafka.brokers, topic_prefix="nobody-made-these")
    for transport in (member(config), KafkaTransport(config, "sender")):
        with pytest.raises(Unavailable, match=r"nobody-made-these\.\S+ has 0 .* topics check"):
            async with transport.running():
                pass


async def test_a_group_or_topic_that_was_not_named_cannot_be_followed(config: KafkaConfig) -> None:
    transport = member(config)
    async with transport.running():
        with pytest.raises(ValueError, match="follows"):
            transport.topic(wire.AUDIO).subscribe(GROUP)
        with pytest.raises(ValueError, match="others"):
            transport.topic(wire.SESSIONS).subscribe("others")
