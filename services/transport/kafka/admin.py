"""Administers topics with kafka-python: makes them, says what differs, and how far groups are."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError, TopicAlreadyExistsError

from services.core.errors import Unavailable
from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.security import client_options
from services.transport.kafka.settings import TopicSettings, wanted_topics

_TIMEOUT_MS = 10_000
_SESSION_TIMEOUT = "group.min.session.timeout.ms"


class Made(StrEnum):
    """What `create` did about a topic."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something on the broker that is not as it should be. `of`: a topic, or a broker."""

    of: str
    setting: str
    found: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a group is in one partition. committed: None where it has finished nothing yet."""

    group: str
    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int


class TopicAdmin:
    """The platform's topics on one cluster."""

    def __init__(self, config: KafkaConfig, client: KafkaAdminClient) -> None:
        self._config = config
        self._client = client

    def create(self, replication: int) -> dict[str, Made]:
        """Make the topics that are missing, and give those that are there their settings.

        Partitions and copies of a topic that is there stay as they are; see `check`.
        """
        wanted = wanted_topics(self._config, replication)
        there = self._described(wanted)
        return {
            topic.name: self._update(topic) if topic.name in there else self._make(topic)
            for topic in wanted
        }

    def check(self, replication: int) -> list[Difference]:
        """Say what is not as it should be."""
        wanted = wanted_topics(self._config, replication)
        there = self._described(wanted)
        differences = []
        for topic in wanted:
            if topic.name not in there:
                differences.append(Difference(topic.name, "topic", "missing", "there"))
                continue
            differences += _shape_differences(topic, there[topic.name])
            differences += self._config_differences(topic)
        return differences + self._broker_differences()

    def lag(self) -> list[Lag]:
        """Say how far each consumer group of the platform is."""
        prefix = f"{self._config.topic_prefix}."
        names = [group["group_id"] for group in self._client.list_groups()]
        groups = sorted(name for name in names if name.startswith(prefix))
        if not groups:
            return []
        offsets = self._client.list_group_offsets(dict.fromkeys(groups))
        tps = {tp for of_group in offsets.values() for tp in of_group}
        ends = self._offsets(tps, OffsetSpec.LATEST)
        starts = self._offsets(tps, OffsetSpec.EARLIEST)
        return [
            _lag(group, tp, committed.offset, starts[tp], ends[tp])
            for group in groups
            for tp, committed in sorted(offsets[group].items())
        ]

    def _described(self, wanted: Sequence[TopicSettings]) -> dict[str, Any]:
        described = self._client.describe_topics([topic.name for topic in wanted])
        return {topic["name"]: topic for topic in described if topic["partitions"]}

    def _make(self, topic: TopicSettings) -> Made:
        try:
            self._client.create_topics(
                {
                    topic.name: {
                        "num_partitions": topic.partitions,
                        "replication_factor": topic.replication,
                        "configs": dict(topic.configs),
                    }
                },
                wait_for_metadata=True,
            )
        except TopicAlreadyExistsError:  # another made it at the same time
            return Made.UNCHANGED
        return Made.CREATED

    def _update(self, topic: TopicSettings) -> Made:
        differences = self._config_differences(topic)
        if not differences:
            return Made.UNCHANGED
        changes = {difference.setting: difference.wanted for difference in differences}
        self._client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, changes)])
        return Made.UPDATED

    def _config_differences(self, topic: TopicSettings) -> list[Difference]:
        found = self._configs(ConfigResourceType.TOPIC, topic.name)
        return [
            Difference(topic.name, setting, found.get(setting, ""), value)
            for setting, value in topic.configs.items()
            if found.get(setting) != value
        ]

    def _broker_differences(self) -> list[Difference]:
        """A broker refuses consumers whose session timeout is less than it allows."""
        wanted_ms = round(self._config.kafka_session_timeout_s * 1000)
        brokers = self._client.describe_cluster()["brokers"]
        differences = []
        for broker in brokers:
            name = str(broker["broker_id"])
            least_ms = self._configs(ConfigResourceType.BROKER, name)[_SESSION_TIMEOUT]
            if int(least_ms) > wanted_ms:
                wanted = f"{wanted_ms} or less"
                differences.append(Difference(f"broker {name}", _SESSION_TIMEOUT, least_ms, wanted))
        return differences

    def _configs(self, kind: ConfigResourceType, name: str) -> dict[str, str]:
        described = self._client.describe_configs([ConfigResource(kind, name)], config_filter="all")
        entries = described[kind.name.lower()][name]
        return {setting: entry["value"] for setting, entry in entries.items()}

    def _offsets(self, tps: set[TopicPartition], spec: OffsetSpec) -> dict[TopicPartition, int]:
        found = self._client.list_partition_offsets(dict.fromkeys(tps, spec)) if tps else {}
        return {tp: offset.offset for tp, offset in found.items()}


@contextmanager
def topic_admin(config: KafkaConfig) -> Iterator[TopicAdmin]:
    """Connect for a few calls. Unavailable where no broker answers, or one refuses."""
    client = None
    try:
        client = KafkaAdminClient(
            **client_options(config),
            request_timeout_ms=_TIMEOUT_MS,
            bootstrap_timeout_ms=_TIMEOUT_MS,
        )
        yield TopicAdmin(config, client)
    except KafkaError as error:
        raise Unavailable(
            "transport_unavailable", f"Kafka at {config.kafka_brokers}: {error}"
        ) from error
    finally:
        if client is not None:
            client.close()


def _shape_differences(topic: TopicSettings, found: Any) -> list[Difference]:
    differences = []
    partitions = len(found["partitions"])
    if partitions != topic.partitions:
        differences.append(
            Difference(topic.name, "partitions", str(partitions), str(topic.partitions))
        )
    copies = min(len(partition["replica_nodes"]) for partition in found["partitions"])
    if copies < topic.replication:
        differences.append(
            Difference(topic.name, "replication", str(copies), str(topic.replication))
        )
    return differences


def _lag(group: str, tp: TopicPartition, committed: int, start: int, end: int) -> Lag:
    begun = committed >= 0
    return Lag(
        group=group,
        topic=tp.topic,
        partition=tp.partition,
        committed=committed if begun else None,
        end=end,
        lag=max(end - max(committed, start), 0),
    )
