"""One service process on Kafka: a Faust app that follows the service's topics and produces."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from faust.transport.consumer import Consumer

from services.core import metrics
from services.core.errors import Unavailable
from services.core.wire import Keyed, TopicType
from services.state.carried import Carried
from services.transport.kafka.app import App, new_app
from services.transport.kafka.carried import CarriedTable
from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.dead_letters import DeadLetters
from services.transport.kafka.inbox import Event, Inbox
from services.transport.kafka.outbox import Outbox
from services.transport.kafka.preflight import check_topics
from services.transport.kafka.reader import Reader
from services.transport.kafka.topic import KafkaTopic
from services.transport.kafka.watchdog import Watchdog

M = TypeVar("M", bound=Keyed)

_STOPS_WITHIN_S = 1.5  # without a broker, Faust would wait for one


@dataclass(frozen=True, slots=True)
class _Running:
    """What there is while the transport runs."""

    app: App
    reader: Reader
    outbox: Outbox
    inboxes: dict[str, Inbox[Any]]
    carried: CarriedTable | None

    def assign(self, assigned: set[Any]) -> None:
        """Take note of the partitions that are this process's from now on."""
        metrics.REBALANCES.inc()
        for inbox in self.inboxes.values():
            inbox.assign(assigned)
        if self.carried is not None:
            self.carried.assign(assigned)

    async def stop(self) -> None:
        """Finish what can be finished, in a few seconds whether a broker answers or not."""
        try:
            async with asyncio.timeout(_STOPS_WITHIN_S):
                await self.hand_over()
                await self.app.producer.flush()
        except (TimeoutError, Unavailable):
            self.app.stop_sending()
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOPS_WITHIN_S):
                await self.app.stop()
                await self.reader.stop()

    async def hand_over(self) -> None:
        """Write what the next owner of a partition needs, and how far this one came.

        Faust forgets what was acknowledged as soon as a rebalance begins, so it is told to the
        broker here.
        """
        if self.carried is not None:
            await self.carried.write()
            self.carried.suspend()
        for inbox in self.inboxes.values():
            inbox.suspend()
        floors = {tp: floor for inbox in self.inboxes.values() for tp, floor in inbox.floors()}
        if floors:
            await cast(Consumer, self.app.consumer)._commit(floors)


class KafkaTransport:
    """The topics of one member of one consumer group.

    follows: the topics that this process consumes; none for one that only produces.
    carries: it has a share of the table of carried states. Only with topics that it follows.
    """

    def __init__(
        self,
        config: KafkaConfig,
        group: str,
        follows: Sequence[TopicType[Any]] = (),
        *,
        carries: bool = False,
    ) -> None:
        self.config = config
        self._group = group
        self._follows = tuple(follows)
        self._carries = carries
        self._running: _Running | None = None

    def topic(self, topic: TopicType[M]) -> KafkaTopic[M]:
        """Return one of the platform's topics; before `running` it can do nothing yet."""
        return KafkaTopic(self, topic)

    def carried_states(self) -> "KafkaCarriedStates":
        """Return the sessions' carried states; before `running` they can do nothing yet."""
        return KafkaCarriedStates(self)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Produce and consume. What ends the consumer for good ends the body, with an error.

        Waits for a broker that is away; Unavailable where there is none, or its topics are wrong.
        """
        await check_topics(self.config)
        async with asyncio.TaskGroup() as tasks:
            running = self._wire(tasks)
            watch: list[asyncio.Task[None]] = []
            try:
                await running.app.start()
                self._running = running
                watchdog = Watchdog(self.config, list(running.inboxes.values()), running.reader)
                watch.append(tasks.create_task(_raise_when_crashed(running.app)))
                watch.append(tasks.create_task(watchdog.run()))
                if running.carried is not None:
                    watch.append(tasks.create_task(running.carried.run()))
                yield
            finally:
                self._running = None
                for task in watch:
                    task.cancel()
                await running.stop()

    @property
    def outbox(self) -> Outbox:
        """What this process sends."""
        return self._while_running().outbox

    @property
    def reader(self) -> Reader:
        """What reads the past."""
        return self._while_running().reader

    @property
    def carried(self) -> CarriedTable:
        """This process's share of the carried states."""
        carried = self._while_running().carried
        if carried is None:
            raise ValueError("this process carries no states")
        return carried

    def inbox(self, topic: TopicType[M], group: str) -> Inbox[M]:
        """Return what this process receives of a topic."""
        inbox = self._while_running().inboxes.get(topic.name)
        if group != self._group or inbox is None:
            follows = [follow.name for follow in self._follows]
            raise ValueError(
                f"this process follows {follows} as {self._group!r}, "
                f"not {topic.name!r} as {group!r}"
            )
        return inbox

    def _wire(self, tasks: asyncio.TaskGroup) -> _Running:
        app = new_app(self.config, self._group, tables=self._carries)
        app.producer_only = not self._follows
        outbox = Outbox(self.config, app)
        letters = DeadLetters(self._group, self.config.topic_prefix, outbox.send)

        def bury(event: Event, error: Exception) -> asyncio.Task[None]:
            return tasks.create_task(letters.bury(event, error))

        carried = (
            CarriedTable(app, self.config, self._group, outbox.send) if self._carries else None
        )
        inboxes: dict[str, Inbox[Any]] = {
            topic.name: Inbox(
                app,
                topic,
                self.config.topic(topic.name),
                bury,
                in_flight=self.config.kafka_in_flight,
                unacknowledged=self.config.kafka_unacknowledged,
                written=_nothing if carried is None else carried.written,
            )
            for topic in self._follows
        }
        running = _Running(app, Reader(self.config), outbox, inboxes, carried)

        async def assign(_app: Any, assigned: Any, **_rest: Any) -> None:
            running.assign(assigned)

        async def hand_over(_app: Any, _revoked: Any, **_rest: Any) -> None:
            await running.hand_over()

        app.on_partitions_assigned.connect(assign)  # type: ignore[arg-type]
        app.on_partitions_revoked.connect(hand_over)  # type: ignore[arg-type]
        return running

    def _while_running(self) -> _Running:
        if self._running is None:
            raise RuntimeError("the Kafka transport is not running")
        return self._running


@dataclass(frozen=True, slots=True)
class KafkaCarriedStates:
    """The CarriedStates port over a transport's table."""

    transport: KafkaTransport

    def __len__(self) -> int:
        return len(self.transport.carried)

    def sessions(self) -> Sequence[str]:
        """Return which sessions carry something."""
        return self.transport.carried.sessions()

    def get(self, session_id: str) -> Carried | None:
        """Return what the session carries."""
        return self.transport.carried.get(session_id)

    def put(self, session_id: str, carried: Carried) -> None:
        """Keep what the session carries."""
        self.transport.carried.put(session_id, carried)

    def drop(self, session_id: str) -> None:
        """Forget a session."""
        self.transport.carried.drop(session_id)


async def _raise_when_crashed(app: App) -> None:
    await app._crashed.wait()
    raise RuntimeError("the Kafka consumer broke") from app.crash_reason


def _nothing(_partition: int) -> None:
    """Say that nothing must be written before a message is done."""
