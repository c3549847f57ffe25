"""The Faust app inside a service process: its settings, and what Faust has no setting for."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import faust
from aiokafka.errors import KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TopicT

from services.core.wire import MAX_DEAD_LETTER_BYTES
from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.consumer import Consumer
from services.transport.kafka.security import faust_credentials

_HEARTBEATS = 8  # to a session's timeout: members hear of a rebalance by them
_REBALANCE_TIMEOUT_S = 10.0  # how long the group waits for a member that does not rejoin
_REQUEST_TIMEOUT_S = 30.0
_BATCH_BYTES = 256 * 1024
_QUEUED_MESSAGES = 512  # fetched ahead, of each topic


class _Producer(driver.Producer):
    """A producer that neither loses nor repeats a message while a broker restarts."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}


class _Transport(driver.Transport):
    Consumer = Consumer
    Producer = _Producer


class App(faust.App):
    """Faust inside another's event loop: no directory, no web server, no command line."""

    _queues: dict[str, asyncio.Queue[Any]]

    def follow(self, name: str, queue: asyncio.Queue[Any]) -> None:
        """Put what comes of a topic into a queue."""
        self._queues[name] = queue
        self.topics.add(cast(TopicT, raw_topic(self, name).clone_using_queue(queue)))

    def has_room(self, name: str) -> bool:
        """Tell whether one more message of a topic can be taken at once."""
        return name in self._queues and not self._queues[name].full()

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


def new_app(config: KafkaConfig, group: str, *, tables: bool) -> App:
    """Return the app of one consumer group's member."""
    session_timeout_s = config.kafka_session_timeout_s
    app = App(
        config.group(group),
        broker=[f"kafka://{address}" for address in config.brokers],
        broker_credentials=faust_credentials(config),
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
    app._queues = {}
    return app


def raw_topic(app: App, name: str) -> TopicT:
    """Return a topic of Faust's whose keys and values are bytes."""
    return app.topic(
        name, key_type=bytes, key_serializer="raw", value_type=bytes, value_serializer="raw"
    )
