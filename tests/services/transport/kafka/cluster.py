"""A place of its own on the test run's broker: a topic prefix with all topics made."""

import itertools
from typing import Any

from services.core.messages import Instructed, SessionMessage
from services.transport.kafka import KafkaConfig
from services.transport.kafka.admin import topic_admin
from services.transport.kafka.partition import partition_of
from stack.kafka.settings import CONSUMER_SESSION_TIMEOUT_S

PARTITIONS = 4  # few, since each test makes all topics anew
_NUMBERS = itertools.count()


def fresh_config(brokers: str, **settings: Any) -> KafkaConfig:
    """Make all topics under a prefix that nobody has used."""
    given = {
        "kafka_partitions": PARTITIONS,
        "kafka_session_timeout_s": CONSUMER_SESSION_TIMEOUT_S,
        **settings,
    }
    config = KafkaConfig(kafka_brokers=brokers, topic_prefix=f"test-{next(_NUMBERS)}", **given)
    with topic_admin(config) as admin:
        admin.create(replication=1)
    return config


def said(session_id: str, text: str = "") -> SessionMessage:
    """Return a small message of a session."""
    return SessionMessage(session_id, 1, Instructed(text))


def text_of(message: SessionMessage) -> str:
    """Return what `said` put in."""
    assert isinstance(message.change, Instructed)
    return message.change.text


def sessions_of(partition: int, count: int) -> list[str]:
    """Return sessions whose messages are all in one partition."""
    ids = (f"session-{number}" for number in itertools.count())
    mine = (each for each in ids if partition_of(each.encode(), PARTITIONS) == partition)
    return list(itertools.islice(mine, count))
