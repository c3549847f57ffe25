"""Topics are made, checked, measured and replayed on a real broker."""

import asyncio
import itertools

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from services.core import wire
from services.core.errors import Unavailable
from services.transport.kafka import KafkaConfig, KafkaTransport
from services.transport.kafka.admin import Made, topic_admin
from services.transport.kafka.replay import Replay
from services.transport.kafka.settings import wanted_topics
from stack.kafka import KafkaServer
from tests.services.transport.kafka.cluster import PARTITIONS, fresh_config, said, text_of
from tests.waiting import DEADLINE_S, until

pytestmark = pytest.mark.kafka

NUMBERS = itertools.count()


@pytest.fixture
def empty(kafka: KafkaServer) -> KafkaConfig:
    """A prefix without topics."""
    prefix = f"admin-{next(NUMBERS)}"
    return KafkaConfig(
        kafka_brokers=kafka.brokers, topic_prefix=prefix, kafka_partitions=PARTITIONS
    )


def test_topics_are_made_once_and_are_then_as_they_should_be(empty: KafkaConfig) -> None:
    names = {topic.name for topic in wanted_topics(empty, 1)}
    assert len(names) == len(wire.TOPICS) + 1
    with topic_admin(empty) as admin:
        assert {each.setting for each in admin.check(1)} == {"topic"}
        assert admin.create(1) == dict.fromkeys(names, Made.CREATED)
        assert admin.check(1) == []
        assert admin.create(1) == dict.fromkeys(names, Made.UNCHANGED)


def test_the_broker_keeps_topics_as_the_table_says(empty: KafkaConfig) -> None:
    with topic_admin(empty) as admin:
        admin.create(1)
    client = KafkaAdminClient(bootstrap_servers=empty.brokers)
    names = [empty.topic(topic.name) for topic in (wire.AUDIO, wire.SESSIONS, wire.CARRIED)]
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    told = client.describe_configs(resources, config_filter="all")["topic"]
    client.close()
    audio, sessions, carried = (
        {setting: found["value"] for setting, found in told[name].items()} for name in names
    )
    assert audio["retention.ms"] == "600000"
    assert audio["cleanup.policy"] == "delete"
    assert audio["max.message.bytes"] == str(wire.MAX_MESSAGE_BYTES)
    assert sessions["cleanup.policy"] == "compact,delete"
    assert sessions["retention.ms"] == str(7 * 24 * 3_600_000)
    assert sessions["min.compaction.lag.ms"] == "3600000"
    assert carried["cleanup.policy"] == "compact"
    assert carried["min.compaction.lag.ms"] == "0"


def test_what_differs_is_named_and_settings_are_brought_in_line(empty: KafkaConfig) -> None:
    with topic_admin(empty) as admin:
        admin.create(1)
    name = empty.topic(wire.CARRIED.name)
    client = KafkaAdminClient(bootstrap_servers=empty.brokers)
    change = {"cleanup.policy": "delete"}
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, change)])
    client.close()
    with topic_admin(empty) as admin:
        [difference] = admin.check(1)
        assert (difference.of, difference.setting) == (name, "cleanup.policy")
        assert (difference.found, difference.wanted) == ("delete", "compact")
        assert admin.create(1)[name] is Made.UPDATED
        assert admin.check(1) == []


def test_partitions_copies_and_session_timeouts_that_do_not_fit_are_named(
    empty: KafkaConfig,
) -> None:
    with topic_admin(empty) as admin:
        admin.create(1)
    other = {"kafka_partitions": PARTITIONS + 1, "kafka_session_timeout_s": 0.1}
    with topic_admin(empty.model_copy(update=other)) as admin:
        named = {each.setting for each in admin.check(3)}
    assert named == {
        *("partitions", "replication", "min.insync.replicas", "group.min.session.timeout.ms")
    }


async def test_lag_is_what_a_group_has_not_finished(kafka: KafkaServer) -> None:
    config = fresh_config(kafka.brokers)
    transport = KafkaTransport(config, "listeners", [wire.SESSIONS])
    async with transport.running():
        topic = transport.topic(wire.SESSIONS)
        for number in range(10):
            await topic.send(said("s", str(number)))
        messages = topic.subscribe("listeners")
        async with asyncio.timeout(DEADLINE_S):
            for _ in range(4):
                (await anext(messages)).done()
    with topic_admin(config) as admin:
        [lag] = [each for each in admin.lag() if each.end]
    assert (lag.group, lag.topic) == (config.group("listeners"), config.topic("sessions"))
    assert (lag.committed, lag.end, lag.lag) == (4, 10, 6)


@pytest.fixture
async def rejected(kafka: KafkaServer) -> KafkaConfig:
    """A cluster with one message that a service rejected, and one of nobody's among them."""
    config = fresh_config(kafka.brokers)
    transport = KafkaTransport(config, "listeners", [wire.SESSIONS])
    async with transport.running():
        topic = transport.topic(wire.SESSIONS)
        await topic.send(said("s", "try again"))
        async with asyncio.timeout(DEADLINE_S):
            (await anext(topic.subscribe("listeners"))).reject(LookupError("not yet"))
        await until(lambda: ends(config, wire.DEAD_LETTERS) > 0)
    producer = KafkaProducer(bootstrap_servers=config.brokers)
    headers = [("topic", b"another-platforms")]
    dead = config.topic(wire.DEAD_LETTERS)
    producer.send(dead, b"?", b"k", headers=headers).get(DEADLINE_S)
    producer.close()
    return config


def ends(config: KafkaConfig, name: str) -> int:
    """Return how many messages a topic has had."""
    consumer = KafkaConsumer(bootstrap_servers=config.brokers)
    tps = [TopicPartition(config.topic(name), number) for number in range(PARTITIONS)]
    count = sum(int(end) for end in consumer.end_offsets(tps).values())
    consumer.close()
    return count


async def test_dead_letters_go_back_once_to_where_they_came_from(rejected: KafkaConfig) -> None:
    shown = {each.key: each for each in Replay(rejected, dry_run=True).dead_letters()}
    assert ends(rejected, "sessions") == 1  # a dry run sends nothing
    sent = {each.key: each for each in Replay(rejected, dry_run=False).dead_letters()}
    assert sent == shown
    assert sent["s"].target == rejected.topic("sessions")
    assert sent["s"].reason == "LookupError: not yet"
    assert sent["k"].target == ""  # where it came from is none of ours

    transport = KafkaTransport(rejected, "reader")
    async with transport.running():
        kept = [text_of(each.message) async for each in transport.topic(wire.SESSIONS).read("s", 0)]
    assert kept == ["try again", "try again"]
    assert list(Replay(rejected, dry_run=False).dead_letters()) == []


def test_a_dead_letter_that_is_refused_does_not_count_as_sent_back(kafka: KafkaServer) -> None:
    config = fresh_config(kafka.brokers)
    producer = KafkaProducer(
        bootstrap_servers=config.brokers, max_request_size=wire.MAX_DEAD_LETTER_BYTES
    )
    headers = [("topic", config.topic(wire.SESSIONS.name).encode())]
    too_large = bytes(wire.MAX_MESSAGE_BYTES)  # for where it came from, with what goes with it
    producer.send(config.topic(wire.DEAD_LETTERS), too_large, b"s", headers=headers).get(DEADLINE_S)
    producer.close()
    for _ in range(2):
        with pytest.raises(Unavailable):
            list(Replay(config, dry_run=False).dead_letters())
    assert len(list(Replay(config, dry_run=True).dead_letters())) == 1


async def test_a_topics_own_messages_are_sent_again_from_some_time_on(
    kafka: KafkaServer,
) -> None:
    config = fresh_config(kafka.brokers)
    transport = KafkaTransport(config, "sender")
    async with transport.running():
        for number in range(3):
            await transport.topic(wire.SESSIONS).send(said(f"s-{number}"))
    assert list(Replay(config, dry_run=False).topic("sessions", 4e9)) == []
    assert len(list(Replay(config, dry_run=False).topic("sessions", 0))) == 3
    assert ends(config, "sessions") == 6
