"""The Faust app inside a service process: its settings, and what Faust has no setting for."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import faust
from aiokafka.errors import KafkaError
from faust.transport.consumer import RecordMap
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, TopicT
from mode.threads import ServiceThread, WorkerThread

from services.core.wire import MAX_DEAD_LETTER_BYTES
from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.gate import Gate

_HEARTBEATS = 8  # to a session's timeout: members hear of a rebalance by them
_REBALANCE_TIMEOUT_S = 10.0  # how long the group waits for a member that does not rejoin
_REQUEST_TIMEOUT_S = 30.0
_BATCH_BYTES = 256 * 1024
_QUEUED_MESSAGES = 512  # fetched ahead, of each topic


class _Producer(driver.Producer):
    """A producer that neither loses nor repeats a message while a broker restarts."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}


class _DaemonThread(WorkerThread):
    """A thread that does not keep a process from ending, as one that looks for a broker would."""

    def __init__(self, service: ServiceThread, **kwargs: Any) -> None:
        super().__init__(service, **kwargs)
        self.daemon = True


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    """Fetches at intervals while messages come, and at once after a quiet time."""

    Worker = _DaemonThread

    async def on_start(self) -> None:
        await super().on_start()
        fetcher, gate = self._ensure_consumer()._fetcher, Gate(cast(App, self.app).pace_s)
        fetch = fetcher._proc_fetch_request

        async def fetch_in_turn(*request: Any) -> bool:
            try:
                await gate.wait()
                got: bool = await fetch(*request)
            except asyncio.CancelledError:
                return False  # the fetcher awaits what it has cancelled, and expects an answer
            return got

        fetcher._proc_fetch_request = fetch_in_turn

    async def seek_to_committed(self) -> Mapping[TP, int]:
        offsets: Mapping[TP, int] = await self.call_thread(self._seek_to_committed)
        return offsets

    async def _seek_to_committed(self) -> Mapping[TP, int]:
        """Go to what the group has committed, asked for in one request; else to the beginning.

        The client's own way asks for each partition, and leaves one where it is of which nothing
        was committed: what was fetched of it and thrown away in a rebalance would be lost.
        """
        consumer = self._ensure_consumer()
        tps = [tp for tp in consumer.assignment() if not self.consumer._is_changelog_tp(tp)]
        found = await consumer._coordinator.fetch_committed_offsets(tps)
        offsets = {tp: found[tp].offset for tp in tps if tp in found and found[tp].offset >= 0}
        if unknown := [tp for tp in tps if tp not in offsets]:
            offsets |= await consumer.beginning_offsets(unknown)
        for tp, offset in offsets.items():
            consumer.seek(tp, offset)
        return offsets


class _Consumer(driver.Consumer):
    async def _getmany(
        self,
        active_partitions: set[TP] | None,
        timeout: float,  # noqa: ASYNC109 - as Faust has it
    ) -> RecordMap:
        """Fetch of the partitions that are active now, where Faust looks at what they are later.

        When they are paused meanwhile, all at once, it would fetch of every partition, throw that
        away, and go on after it: after a table's recovery, messages would be lost.
        """
        active = set(active_partitions or ())
        return await super()._getmany(active, timeout) if active else {}

    async def verify_all_partitions_active(self) -> None:
        """Leave it to the watchdog: Faust's own check fails on a partition that just came."""

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class _Transport(driver.Transport):
    Consumer = _Consumer
    Producer = _Producer


class App(faust.App):
    """Faust inside another's event loop: no directory, no web server, no command line."""

    pace_s: float

    def _new_transport(self) -> _Transport:
        return _Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> _Transport:
        return _Transport(self.conf.broker_producer, self)

    def _create_directories(self) -> None:
        """Make none: nothing is kept on disk."""

    def stop_sending(self) -> None:
        """Fail what no broker has taken: where none answers, a stop would wait for one."""
        producer = cast(_Producer, self.producer)._producer
        if producer is not None:
            producer._message_accumulator.fail_all(KafkaError("the process stops"))

    async def stop(self) -> None:
        """Stop, and leave no event loop open: one is made for a consumer that never runs too."""
        await super().stop()
        if self.producer_only and self._consumer is not None:
            cast(_Consumer, self._consumer)._thread.thread_loop.close()


def new_app(config: KafkaConfig, group: str, *, tables: bool) -> App:
    """Return the app of one consumer group's member."""
    session_timeout_s = config.kafka_session_timeout_s
    app = App(
        config.group(group),
        broker=[f"kafka://{address}" for address in config.brokers],
        store="memory://",
        web_enabled=False,
        topic_allow_declare=False,  # `soundflow topics create` does it
        topic_disable_leader=True,
        # Faust keeps partitions where they are, and topics of one number together, for apps with
        # tables or standby copies of them; copies would make every rebalance a second longer.
        table_standby_replicas=0 if tables else 1,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=session_timeout_s,
        broker_heartbeat_interval=session_timeout_s / _HEARTBEATS,
        broker_rebalance_timeout=_REBALANCE_TIMEOUT_S,
        broker_request_timeout=_REQUEST_TIMEOUT_S,
        broker_commit_interval=config.kafka_commit_interval_s,
        broker_check_crcs=False,  # the broker checks what it takes in; TCP checks the way
        # With work in flight, Faust would wait for it without end when asked to stop.
        stream_wait_empty=False,
        stream_buffer_maxsize=_QUEUED_MESSAGES,
        producer_request_timeout=_REQUEST_TIMEOUT_S,
        producer_max_batch_size=_BATCH_BYTES,
        producer_max_request_size=MAX_DEAD_LETTER_BYTES,
    )
    app.pace_s = config.kafka_pace_s
    return app


def raw_topic(app: App, name: str) -> TopicT:
    """Return a topic of Faust's whose keys and values are bytes."""
    return app.topic(
        name, key_type=bytes, key_serializer="raw", value_type=bytes, value_serializer="raw"
    )
