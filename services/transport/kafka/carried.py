"""Carried states in a Faust table: in memory here, in its changelog for whoever comes next."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Set
from typing import Any

from faust.stores.memory import Store
from faust.tables.table import Table
from faust.types import TP, CodecArg, EventT, FutureMessage

from services.core.errors import BadRequest
from services.core.messages import CarriedMessage
from services.core.wire import CARRIED
from services.state.carried import Carried
from services.transport.kafka.app import App, raw_topic
from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.partition import partition_of

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
        self._followed[tp] = offset

    def apply_changelog_batch(
        self, batch: Iterable[EventT[Any]], to_key: Callable[..., Any], to_value: Callable[..., Any]
    ) -> None:
        for event in batch:
            key, value, tp = event.message.key, event.message.value, event.message.tp
            if value is None:
                self.data.pop(key, None)
            else:
                self.data[key] = value
            self._followed[tp] = event.message.offset

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
        table = self.table
        assert isinstance(table, _Table)
        partitions = {tp.partition for tp in revoked if tp.topic == table.changelog_topic_name}
        for key in [key for key in self.data if table.partition_for_key(key) in partitions]:
            del self.data[key]


class _Table(Table[bytes, bytes]):
    """A table whose keys may be changed anywhere, and that tells of each change sent."""

    partitions_count: int
    on_sent: Callable[[int, FutureMessage], None]

    def partition_for_key(self, key: Any) -> int:
        return partition_of(key, self.partitions_count)

    def send_changelog(
        self,
        partition: int | None,
        key: Any,
        value: Any,
        key_serializer: CodecArg = None,
        value_serializer: CodecArg = None,
    ) -> FutureMessage:
        sent = super().send_changelog(partition, key, value, key_serializer, value_serializer)
        if partition is not None:
            self.on_sent(partition, sent)
        return sent

    def _new_store(self) -> Store[bytes, bytes]:
        return _Store("memory://", self.app, self, table_name=self.name, loop=self.loop)


class CarriedTable:
    """The CarriedStates port while the app runs, usable from any task of its loop.

    fail: called when a change could not be kept.
    """

    def __init__(
        self, app: App, config: KafkaConfig, fail: Callable[[BaseException], None]
    ) -> None:
        self._fail = fail
        self._partitions = config.kafka_partitions
        self._mine: set[int] = set()
        self._sent: dict[int, FutureMessage] = {}
        name = config.topic(CARRIED.name)
        self._table = _Table(
            app,
            name=CARRIED.name,
            key_type=bytes,
            value_type=bytes,
            changelog_topic=raw_topic(app, name),
        )
        self._table.partitions_count = self._partitions
        self._table.on_sent = self._on_sent
        self._topic_name = name
        app.tables.add(self._table)

    def get(self, session_id: str) -> Carried | None:
        """Return what the session carries; None where nothing is kept that can be read."""
        value = self._table.data.get(session_id.encode())
        if value is None:
            return None
        try:
            message = CARRIED.load(value)
        except BadRequest:
            log.exception("the state carried by %s cannot be read", session_id)
            return None
        return Carried(message.state, message.next_index)

    def put(self, session_id: str, carried: Carried) -> None:
        """Keep it; `done` of a message counts once all that was put before it is kept."""
        message = CarriedMessage(session_id, carried.next_index, carried.state)
        if self._is_mine(session_id):
            self._table[CARRIED.key(message)] = CARRIED.dump(message)

    def drop(self, session_id: str) -> None:
        """Forget a session."""
        key = session_id.encode()
        if self._is_mine(session_id) and key in self._table.data:
            del self._table[key]

    def assign(self, assigned: Set[TP]) -> None:
        """Take note of a rebalance: another replica writes the partitions that are not here."""
        self._mine = {tp.partition for tp in assigned if tp.topic == self._topic_name}

    def being_written(self, partition: int) -> asyncio.Future[Any] | None:
        """Return the newest change of a partition while it is not kept yet."""
        return self._sent.get(partition)

    def _is_mine(self, session_id: str) -> bool:
        return partition_of(session_id.encode(), self._partitions) in self._mine

    def _on_sent(self, partition: int, sent: FutureMessage) -> None:
        self._sent[partition] = sent
        sent.add_done_callback(lambda sent: self._on_kept(partition, sent))

    def _on_kept(self, partition: int, sent: asyncio.Future[Any]) -> None:
        if self._sent.get(partition) is sent:
            del self._sent[partition]
        if not sent.cancelled() and (error := sent.exception()):
            self._fail(error)
