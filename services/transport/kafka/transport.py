"""One service process on Kafka: a Faust app that follows the service's topics and produces."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from services.core.wire import Keyed, TopicType
from services.transport.kafka.app import App, new_app
from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.dead_letters import DeadLetters
from services.transport.kafka.inbox import Event, Inbox
from services.transport.kafka.outbox import Outbox
from services.transport.kafka.topic import KafkaTopic

M = TypeVar("M", bound=Keyed)


@dataclass(frozen=True, slots=True)
class _Running:
    """What there is while the transport runs."""

    app: App
    outbox: Outbox
    inboxes: dict[str, Inbox[Any]]


class KafkaTransport:
    """The topics of one member of one consumer group.

    follows: the topics that this process consumes; none for one that only produces.
    """

    def __init__(
        self, config: KafkaConfig, group: str, follows: Sequence[TopicType[Any]] = ()
    ) -> None:
        self._config = config
        self._group = group
        self._follows = tuple(follows)
        self._running: _Running | None = None

    def topic(self, topic: TopicType[M]) -> KafkaTopic[M]:
        """Return one of the platform's topics; before `running` it can do nothing yet."""
        return KafkaTopic(self, topic)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Produce and consume. What ends the consumer for good ends the body, with an error."""
        async with asyncio.TaskGroup() as tasks:
            running = self._running = self._wire(tasks)
            await running.app.start()
            watch = tasks.create_task(_raise_when_crashed(running.app))
            try:
                yield
            finally:
                watch.cancel()
                await running.app.stop()
                self._running = None

    @property
    def outbox(self) -> Outbox:
        """What this process sends."""
        return self._while_running().outbox

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
        app = new_app(self._config, self._group)
        app.producer_only = not self._follows
        outbox = Outbox(self._config, app)
        letters = DeadLetters(self._group, outbox.send)

        def bury(event: Event, error: Exception) -> asyncio.Task[None]:
            return tasks.create_task(letters.bury(event, error))

        inboxes: dict[str, Inbox[Any]] = {
            topic.name: Inbox(
                app,
                topic,
                self._config.topic(topic.name),
                bury,
                in_flight=self._config.kafka_in_flight,
            )
            for topic in self._follows
        }

        async def assign(_app: Any, assigned: Any, **_rest: Any) -> None:
            for inbox in inboxes.values():
                inbox.assign(assigned)

        app.on_partitions_assigned.connect(assign)  # type: ignore[arg-type]
        return _Running(app, outbox, inboxes)

    def _while_running(self) -> _Running:
        if self._running is None:
            raise RuntimeError("the Kafka transport is not running")
        return self._running


async def _raise_when_crashed(app: App) -> None:
    await app._crashed.wait()
    raise RuntimeError("the Kafka consumer broke") from app.crash_reason
