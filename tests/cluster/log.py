"""The platform's topics as a stranger sees them: anybody may write anything, and read it all."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import MessageSizeTooLargeError

from services.transport.kafka.partition import partition_of
from stack.parts import PARTITIONS
from tests.cluster.platform import Cluster

ANY_SIZE_BYTES = 8 << 20
KEPT_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Log:
    """All topics of a cluster."""

    cluster: Cluster
    producer: KafkaProducer

    def send(self, topic: str, key: str, value: bytes, *, beside: str = "") -> bool:
        """Append, in another session's partition if that is named; False where Kafka refuses."""
        partition = partition_of((beside or key).encode(), PARTITIONS)
        name = self.cluster.topic(topic)
        sent = self.producer.send(name, key=key.encode(), value=value, partition=partition)
        try:
            sent.get(KEPT_WITHIN_S)
        except MessageSizeTooLargeError:
            return False
        return True

    def read(self, topic: str) -> list[Any]:
        """Return all records of a topic."""
        name = self.cluster.topic(topic)
        consumer = KafkaConsumer(
            bootstrap_servers=self.cluster.brokers, max_partition_fetch_bytes=ANY_SIZE_BYTES
        )
        try:
            tps = [TopicPartition(name, number) for number in range(PARTITIONS)]
            consumer.assign(tps)
            ends, records = consumer.end_offsets(tps), []
            consumer.seek_to_beginning()
            while any(consumer.position(tp) < end for tp, end in ends.items()):
                records += [one for some in consumer.poll(1000).values() for one in some]
            return records
        finally:
            consumer.close()


@contextmanager
def log_of(cluster: Cluster) -> Iterator[Log]:
    """Connect to the cluster's Kafka."""
    producer = KafkaProducer(
        bootstrap_servers=cluster.brokers,
        acks="all",
        max_request_size=ANY_SIZE_BYTES,
    )
    try:
        yield Log(cluster, producer)
    finally:
        producer.close()
