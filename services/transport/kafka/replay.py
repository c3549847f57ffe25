"""Sends messages again with kafka-python: dead letters to their topics, or a topic's own."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from services.core.errors import Unavailable
from services.core.wire import DEAD_LETTERS, MAX_DEAD_LETTER_BYTES, TOPICS
from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.partition import partition_of
from services.transport.kafka.security import client_options

_GROUP = "replay"  # remembers which dead letters were sent again
_POLL_MS = 500
_SILENCE_S = 10.0
_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True)
class Replayed:
    """One message, where it is kept, and where it is sent to ("" = nowhere: not one of ours)."""

    source: str
    partition: int
    offset: int
    target: str
    key: str
    size_bytes: int
    reason: str


class Replay:
    """Reads one topic from some point to its end as of now, and sends it again.

    Where one message is refused, dead letters do not count as sent back: all of them come again.
    dry_run: say what would be sent, and send and remember nothing.
    """

    def __init__(self, config: KafkaConfig, *, dry_run: bool) -> None:
        self._config = config
        self._dry_run = dry_run
        self._ours = {config.topic(topic.name) for topic in TOPICS}
        self._refused: list[Exception] = []

    def dead_letters(self) -> Iterator[Replayed]:
        """Send dead letters back that were not sent back before. Unavailable."""
        return self._replay(DEAD_LETTERS, since_unix_s=None)

    def topic(self, name: str, since_unix_s: float) -> Iterator[Replayed]:
        """Append to a topic, named without prefix, what came since then once more. Unavailable."""
        return self._replay(name, since_unix_s)

    def _replay(self, name: str, since_unix_s: float | None) -> Iterator[Replayed]:
        try:
            consumer, producer = self._consumer(), self._producer()
            try:
                ends = self._assign(consumer, name, since_unix_s)
                for record in _records(consumer, ends):
                    yield self._again(producer, record)
                producer.flush()  # which a refused message does not fail
                if self._refused:
                    raise self._refused[0]
                if since_unix_s is None and not self._dry_run:
                    consumer.commit(
                        {tp: OffsetAndMetadata(end, "", -1) for tp, end in ends.items()}
                    )
            finally:
                consumer.close()
                producer.close()
        except KafkaError as error:
            raise Unavailable(
                "transport_unavailable", f"Kafka at {self._config.kafka_brokers}: {error}"
            ) from error

    def _assign(
        self, consumer: KafkaConsumer, name: str, since_unix_s: float | None
    ) -> dict[TopicPartition, int]:
        """Go to the start of what is to be read; return where it ends."""
        topic = self._config.topic(name)
        tps = [
            TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()
        ]
        consumer.assign(tps)
        ends: dict[TopicPartition, int] = consumer.end_offsets(tps)
        if since_unix_s is not None:
            since_ms = int(since_unix_s * 1000)
            found = consumer.offsets_for_times(dict.fromkeys(tps, since_ms))
            for tp, first in found.items():
                consumer.seek(tp, first.offset if first else ends[tp])
        return ends

    def _again(self, producer: KafkaProducer, record: Any) -> Replayed:
        headers = dict(record.headers)
        target = headers["topic"].decode() if "topic" in headers else record.topic
        if target not in self._ours:
            target = ""
        if target and not self._dry_run:
            producer.send(
                target,
                key=record.key,
                value=record.value,
                partition=partition_of(record.key or b"", self._config.kafka_partitions),
                headers=[
                    ("replayed", f"{record.topic}-{record.partition}@{record.offset}".encode())
                ],
            ).add_errback(self._refused.append)
        return Replayed(
            source=record.topic,
            partition=record.partition,
            offset=record.offset,
            target=target,
            key=(record.key or b"").decode(errors="replace"),
            size_bytes=len(record.value or b""),
            reason=headers.get("reason", b"").decode(errors="replace"),
        )

    def _consumer(self) -> KafkaConsumer:
        return KafkaConsumer(
            **client_options(self._config),
            group_id=self._config.group(_GROUP),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            bootstrap_timeout_ms=_TIMEOUT_MS,
        )

    def _producer(self) -> KafkaProducer:
        return KafkaProducer(
            **client_options(self._config),
            acks="all",
            max_request_size=MAX_DEAD_LETTER_BYTES,
            bootstrap_timeout_ms=_TIMEOUT_MS,
        )


def _records(consumer: KafkaConsumer, ends: dict[TopicPartition, int]) -> Iterator[Any]:
    heard_s = time.monotonic()
    while any(consumer.position(tp) < end for tp, end in ends.items()):
        for tp, records in consumer.poll(timeout_ms=_POLL_MS).items():
            heard_s = time.monotonic()
            yield from (record for record in records if record.offset < ends[tp])
        if time.monotonic() - heard_s > _SILENCE_S:
            raise Unavailable("transport_unavailable", "Kafka gives no more messages")
