"""What each topic should be like on the broker: the one table of `wire.py`, in Kafka's words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from services.core.wire import (
    DEAD_LETTERS,
    DEAD_LETTERS_RETENTION,
    MAX_DEAD_LETTER_BYTES,
    MAX_MESSAGE_BYTES,
    TOPICS,
    TopicType,
)
from services.transport.kafka.config import KafkaConfig

_MILLISECOND = timedelta(milliseconds=1)
_SEGMENTS = 4  # what is past its time stays until its segment is: a quarter too long at most
_SEGMENT_BYTES = 64 * 1024 * 1024
# Whoever takes over a session's state reads what was not compacted yet, so that must be little.
_LEAST_SEGMENT = timedelta(seconds=10)
_COMPACTED_SEGMENT_BYTES = 4 * 1024 * 1024
_TOMBSTONES = timedelta(minutes=10)  # longer than any replica reads from the start


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """One topic on the broker. `configs` is what it is told beside the broker's defaults."""

    name: str
    partitions: int
    replication: int
    configs: Mapping[str, str]


def wanted_topics(config: KafkaConfig, replication: int) -> list[TopicSettings]:
    """Return what every topic of the platform should be like."""
    kept = {topic.name: (_cleanup(topic), MAX_MESSAGE_BYTES) for topic in TOPICS}
    kept[DEAD_LETTERS] = (_kept_for(DEAD_LETTERS_RETENTION), MAX_DEAD_LETTER_BYTES)
    return [
        TopicSettings(
            config.topic(name),
            config.kafka_partitions,
            replication,
            {
                "max.message.bytes": str(max_bytes),
                # Of three copies one may be away while messages are taken.
                "min.insync.replicas": str(max(replication - 1, 1)),
                **cleanup,
            },
        )
        for name, (cleanup, max_bytes) in kept.items()
    ]


def _cleanup(topic: TopicType[Any]) -> dict[str, str]:
    kept = {} if topic.retention is None else _kept_for(topic.retention)
    if topic.compacted_after is None:
        return kept
    policies = ("compact", kept.get("cleanup.policy"))
    compacted = _compacted(topic.compacted_after)
    return kept | compacted | {"cleanup.policy": ",".join(filter(None, policies))}


def _kept_for(retention: timedelta) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "retention.ms": _ms(retention),
        "segment.ms": _ms(retention / _SEGMENTS),
        "segment.bytes": str(_SEGMENT_BYTES),
    }


def _compacted(after: timedelta) -> dict[str, str]:
    return {
        "delete.retention.ms": _ms(_TOMBSTONES),
        "min.cleanable.dirty.ratio": "0.1",
        "min.compaction.lag.ms": _ms(after),
        "segment.ms": _ms(max(after / _SEGMENTS, _LEAST_SEGMENT)),
        "segment.bytes": str(_COMPACTED_SEGMENT_BYTES),
    }


def _ms(time: timedelta) -> str:
    return str(time // _MILLISECOND)
