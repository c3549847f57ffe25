"""Carried states in a Faust table: in memory here, in its changelog for whoever comes next."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence, Set
from functools import partial
from typing import Any

from faust.stores.memory import Store
from faust.tables.table import Table
from faust.types import TP, EventT, Message

from services.core import metrics
from services.core.errors import BadRequest
from services.core.messages import CarriedMessage
from services.core.wire import CARRIED
from services.state.carried import Carried
from services.transport.kafka.app import App, raw_topic
from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.partition import partition_of

Send = Callable[[str, bytes, bytes | None], Awaitable[int]]

log = logging.getLogger(__name__)


class _Store(Store[bytes, bytes]):
    """A dictionary that knows how far it follows the changelog, its own changes included.

    So a rebalance reads the partitions that are new here and no others.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._followed: dict[TP, int] = {}

    def persisted_offset(self, tp: TP) -> int | None:
        return self._followed.get(tp)

    def set_persisted_offset(self, tp: TP, offset: int) -> None:
        self._followed[tp] = max(offset, self._followed.get(tp, -1))

    def apply_changelog_batch(
        self, batch: Iterable[EventT[Any]], to_key: Callable[..., Any], to_value: Callable[..., Any]
    ) -> None:
        for event in batch:
            key, value, tp = event.message.key, event.message.value, event.message.tp
            if event.message.offset <= self._followed.get(tp, -1):
                continue  # of this replica's own, which may have changed since
            if value is None:
                self.data.pop(key, None)
            elif self._is_state(event.message):
                self.data[key] = value
            self.set_persisted_offset(tp, event.message.offset)

    async def on_rebalance(
        self,
        assigned: Set[TP],
        revoked: Set[TP],
        newly_assigned: Set[TP],
        generation_id: int = 0,
    ) -> None:
        gone = revoked & self._followed.keys()
        for tp in gone:
            del self._followed[tp]
        table = self._its_table
        partitions = {tp.partition for tp in revoked if tp.topic == table.changelog_topic_name}
        for key in [key for key in self.data if table.partition_for_key(key) in partitions]:
            del self.data[key]

    def _is_state(self, record: Message) -> bool:
        """Tell whether a record may be a replica's; nothing else is to replace a state."""
        table = self._its_table
        try:
            key = CARRIED.key(CARRIED.load(record.value or b""))
        except BadRequest as error:
            log.error("skipped a record of %s: %s", record.topic, error)
        else:
            if record.key == key and record.partition == table.of_key(key):
                return True
            log.error("skipped a record of %s under another's key: %s", record.topic, record.key)
        metrics.MESSAGES_REJECTED.labels(table.service).inc()
        return False

    @property
    def _its_table(self) -> "_Table":
        assert isinstance(self.table, _Table)
        return self.table


class _Table(Table[bytes, bytes]):
    """A table that is changed outside of Faust's streams, so it is told each key's partition."""

    of_key: Callable[[bytes], int]
    service: str

    def partition_for_key(self, key: Any) -> int:
        return self.of_key(key)

    def _new_store(self) -> Store[bytes, bytes]:
        return _Store("memory://", self.app, self, table_name=self.name, loop=self.loop)


class CarriedTable:
    """The CarriedStates port while the app runs, usable from any task of its loop.

    A state is kept here at once, and written to the changelog with others once in an interval:
    whoever takes a session over reads that log, which so has no more than its last second in it.
    """

    def __init__(self, app: App, config: KafkaConfig, service: str, send: Send) -> None:
        self._send = send
        self._interval_s = config.kafka_commit_interval_s
        self._partition_of = partial(partition_of, partitions=config.kafka_partitions)
        self._name = config.topic(CARRIED.name)
        self._mine: frozenset[int] = frozenset()
        self._writes = True
        # Of each partition: what changed since the last write, and who waits for the next one.
        self._changes: dict[int, dict[bytes, bytes | None]] = {}
        self._written: dict[int, asyncio.Future[None]] = {}
        self._table = _Table(
            app,
            name=CARRIED.name,
            key_type=bytes,
            value_type=bytes,
            changelog_topic=raw_topic(app, self._name),
        )
        self._table.of_key, self._table.service = self._partition_of, service
        app.tables.add(self._table)

    def __len__(self) -> int:
        return len(self._table.data)

    def sessions(self) -> Sequence[str]:
        """Return which sessions carry something."""
        return [key.decode() for key in self._table.data]

    def get(self, session_id: str) -> Carried | None:
        """Return what the session carries; None where nothing is kept."""
        value = self._table.data.get(session_id.encode())
        if value is None:
            return None
        message = CARRIED.load(value)
        return Carried(message.state, message.next_index)

    def put(self, session_id: str, carried: Carried) -> None:
        """Keep it; `done` of a message counts once all that was put before it is written."""
        message = CarriedMessage(session_id, carried.next_index, carried.state)
        self._change(CARRIED.key(message), CARRIED.dump(message))

    def drop(self, session_id: str) -> None:
        """Forget a session."""
        if session_id.encode() in self._table.data:
            self._change(session_id.encode(), None)

    def suspend(self) -> None:
        """Write nothing until the next assignment: a later owner may have read the log by then."""
        self._writes = False

    def assign(self, assigned: Set[TP]) -> None:
        """Take note of a rebalance: other partitions than these are other replicas' to write."""
        self._writes = True
        self._mine = frozenset(tp.partition for tp in assigned if tp.topic == self._name)
        for partition in self._changes.keys() - self._mine:
            for key in self._changes.pop(partition):  # put after the store forgot the partition
                self._table.data.pop(key, None)
            self._written.pop(partition).cancel()

    def written(self, partition: int) -> asyncio.Future[None] | None:
        """Return when all that was put in a partition will be written; None when it is."""
        return self._written.get(partition)

    async def run(self) -> None:
        """Write at intervals. A change that is refused is an error: no state may be lost."""
        while True:
            await asyncio.sleep(self._interval_s)
            if self._writes:
                await self.write()

    async def write(self) -> None:
        """Write what has changed, and wait until it is kept."""
        changes, self._changes = self._changes, {}
        waiting = {partition: self._written[partition] for partition in changes}
        sent = [
            self._write(partition, key, value)
            for partition, of_partition in changes.items()
            for key, value in of_partition.items()
        ]
        await asyncio.gather(*sent)
        for partition, written in waiting.items():
            if self._written.get(partition) is written:
                del self._written[partition]
            if not written.done():
                written.set_result(None)

    def _change(self, key: bytes, value: bytes | None) -> None:
        partition = self._partition_of(key)
        if partition not in self._mine:
            return
        if value is None:
            self._table.data.pop(key, None)
        else:
            self._table.data[key] = value
        if partition not in self._changes:
            self._changes[partition] = {}
            self._written[partition] = asyncio.get_running_loop().create_future()
        self._changes[partition][key] = value

    async def _write(self, partition: int, key: bytes, value: bytes | None) -> None:
        position = await self._send(CARRIED.name, key, value)
        self._table.data.set_persisted_offset(TP(self._name, partition), position - 1)
