"""Reads what topics have kept, and asks for their ends, beside what the consumer group does."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.core.errors import Unavailable
from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.partition import partition_of
from services.transport.kafka.preflight import patiently
from services.transport.kafka.security import client_options

_IDLE_READERS = 4  # kept connected; a new one takes ten times as long as a read
_FETCH_BYTES = 4 * 1024 * 1024
_POLL_MS = 200
_CLOCKS_MS = 1000  # those of two machines may differ by so much


class Reader:
    """A few consumers without a group, each lent to one read at a time."""

    def __init__(self, config: KafkaConfig) -> None:
        self._config = config
        self._idle: list[AIOKafkaConsumer] = []

    async def read(
        self, topic: str, key: bytes, since_unix_us: int
    ) -> AsyncGenerator[tuple[int, bytes], None]:
        """Yield the positions and bytes of a key's messages, to the end as of now. Unavailable."""
        tp = TopicPartition(topic, partition_of(key, self._config.kafka_partitions))
        async with self._lent() as consumer:
            consumer.assign([tp])
            end = (await consumer.end_offsets([tp]))[tp]
            since_ms = max(since_unix_us // 1000 - _CLOCKS_MS, 0)
            first = (await consumer.offsets_for_times({tp: since_ms}))[tp]
            if first is None:
                return
            consumer.seek(tp, first.offset)
            while await consumer.position(tp) < end:
                for record in await self._fetch(consumer, tp):
                    if record.key == key and record.offset < end and record.value is not None:
                        yield record.offset + 1, record.value

    async def ends(self, tps: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Return the next offset of each partition. Unavailable."""
        async with self._lent() as consumer:
            ends = await consumer.end_offsets([TopicPartition(*tp) for tp in tps])
            return {(tp.topic, tp.partition): end for tp, end in ends.items()}

    async def stop(self) -> None:
        """Disconnect."""
        idle, self._idle = self._idle, []
        for consumer in idle:
            await consumer.stop()

    async def _fetch(self, consumer: AIOKafkaConsumer, tp: TopicPartition) -> list[Any]:
        deadline_s = time.monotonic() + self._config.kafka_send_timeout_s
        before = await consumer.position(tp)
        while True:
            records: list[Any] = (await consumer.getmany(tp, timeout_ms=_POLL_MS)).get(tp, [])
            if records or await consumer.position(tp) > before:
                return records
            if time.monotonic() > deadline_s:
                raise KafkaError(f"{tp} gives nothing after {before}")

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[AIOKafkaConsumer]:
        try:
            consumer = self._idle.pop() if self._idle else await self._connect()
            try:
                yield consumer
            except BaseException:
                await asyncio.shield(_closed(consumer))
                raise
        except (KafkaError, OSError) as error:
            raise Unavailable("transport_unavailable", f"Kafka cannot be read: {error}") from error
        if len(self._idle) < _IDLE_READERS:
            self._idle.append(consumer)
        else:
            await _closed(consumer)

    async def _connect(self) -> AIOKafkaConsumer:
        async for attempt in patiently(self._config):
            with attempt:
                consumer = AIOKafkaConsumer(
                    **client_options(self._config),
                    enable_auto_commit=False,
                    auto_offset_reset="earliest",
                    check_crcs=False,
                    fetch_max_wait_ms=_POLL_MS,
                    max_partition_fetch_bytes=_FETCH_BYTES,
                )
                try:
                    await consumer.start()
                except BaseException:
                    await _closed(consumer)
                    raise
        return consumer


async def _closed(consumer: AIOKafkaConsumer) -> None:
    with suppress(KafkaError, OSError):
        await consumer.stop()
