"""A broker that restarts, a consumer that hangs, and work that never ends, on a real broker."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.core import wire
from services.core.errors import Unavailable
from services.core.messages import SessionMessage
from services.transport.kafka import KafkaConfig, KafkaTransport
from services.transport.kafka.watchdog import ConsumerHangs
from services.transport.port import Received
from stack.kafka import KafkaServer
from tests.services.transport.kafka.cluster import fresh_config, said, text_of
from tests.waiting import DEADLINE_S, until

pytestmark = pytest.mark.kafka

GROUP = "listeners"


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[KafkaServer]:
    """A broker that no other test uses, to be killed."""
    with KafkaServer(tmp_path) as server:
        yield server


def member(config: KafkaConfig) -> KafkaTransport:
    return KafkaTransport(config, GROUP, [wire.SESSIONS])


async def listen(messages: AsyncIterator[Received[SessionMessage]], heard: list[str]) -> None:
    async for received in messages:
        heard.append(text_of(received.message))
        received.done()


async def test_a_broker_that_restarts_costs_time_and_no_message(own_kafka: KafkaServer) -> None:
    transport = member(fresh_config(own_kafka.brokers))
    heard: list[str] = []
    async with transport.running():
        topic = transport.topic(wire.SESSIONS)
        listening = asyncio.create_task(listen(topic.subscribe(GROUP), heard))
        await topic.send(said("s", "0"))
        await until(lambda: heard == ["0"])

        await asyncio.to_thread(own_kafka.kill)
        sending = [asyncio.create_task(topic.send(said("s", str(n)))) for n in range(1, 20)]
        await asyncio.sleep(2)
        assert not any(each.done() for each in sending)  # they wait for it
        await asyncio.to_thread(own_kafka.start)

        async with asyncio.timeout(2 * DEADLINE_S):
            positions = await asyncio.gather(*sending)
            assert positions == list(range(2, 21))  # and are neither lost nor repeated
            await until(lambda: len(heard) >= 20, within_s=2 * DEADLINE_S)
        assert set(heard) == {str(n) for n in range(20)}
        listening.cancel()


async def test_a_broker_that_stays_away_is_unavailable_in_the_end(own_kafka: KafkaServer) -> None:
    transport = member(fresh_config(own_kafka.brokers, kafka_send_timeout_s=1))
    async with transport.running():
        topic = transport.topic(wire.SESSIONS)
        await asyncio.to_thread(own_kafka.kill)
        with pytest.raises(Unavailable, match="took nothing"):
            await topic.send(said("s"))
        with pytest.raises(Unavailable):
            [each async for each in topic.read("s", 0)]
        stopping_s = asyncio.get_running_loop().time()
    # Faust would wait for the broker for ever; how quickly it stops is not this test's matter.
    assert asyncio.get_running_loop().time() - stopping_s < DEADLINE_S


async def test_nobody_starts_where_no_broker_answers() -> None:
    config = KafkaConfig(kafka_brokers="127.0.0.1:1", kafka_send_timeout_s=0.5)
    with pytest.raises(Unavailable, match="no Kafka broker answers"):
        async with member(config).running():
            pass


async def test_a_consumer_that_fetches_no_more_ends_its_process(kafka: KafkaServer) -> None:
    transport = member(fresh_config(kafka.brokers, kafka_stall_s=2))
    heard: list[str] = []

    async def run() -> None:
        async with transport.running():
            topic = transport.topic(wire.SESSIONS)
            listening = asyncio.create_task(listen(topic.subscribe(GROUP), heard))
            await topic.send(said("s", "heard"))
            await until(lambda: heard == ["heard"])
            consumer = transport._while_running().app.consumer
            consumer.pause_partitions(consumer.assignment())  # as if it had been forgotten
            await topic.send(said("s", "not heard"))
            try:
                await asyncio.sleep(DEADLINE_S)
            finally:
                listening.cancel()

    with pytest.raises(ExceptionGroup) as ended:
        await run()
    assert ended.group_contains(ConsumerHangs, match="1 messages wait on .* none is fetched")
    assert heard == ["heard"]


async def test_a_message_that_is_never_done_ends_the_process(kafka: KafkaServer) -> None:
    transport = member(fresh_config(kafka.brokers, kafka_stall_s=1, kafka_held_s=2))

    async def run() -> None:
        async with transport.running():
            topic = transport.topic(wire.SESSIONS)
            await topic.send(said("s"))
            await anext(topic.subscribe(GROUP))
            await asyncio.sleep(DEADLINE_S)

    with pytest.raises(ExceptionGroup) as ended:
        await run()
    assert ended.group_contains(ConsumerHangs, match="in work for")


async def test_a_consumer_with_nothing_to_do_goes_on(kafka: KafkaServer) -> None:
    config = fresh_config(kafka.brokers, kafka_stall_s=0.6, kafka_held_s=0.6)
    transport = member(config)
    heard: list[str] = []
    async with transport.running():
        topic = transport.topic(wire.SESSIONS)
        listening = asyncio.create_task(listen(topic.subscribe(GROUP), heard))
        await topic.send(said("s", "early"))
        await asyncio.sleep(3)
        await topic.send(said("s", "late"))
        await until(lambda: heard == ["early", "late"])
        listening.cancel()
