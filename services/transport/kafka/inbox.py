"""What one process receives of one topic, and what became of each message."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Generic, TypeVar

from faust.types import TP, ChannelT, EventT

from services.core.errors import BadRequest
from services.core.wire import Keyed, TopicType
from services.transport.kafka.app import App
from services.transport.kafka.prefix import Prefix
from services.transport.port import Received

M = TypeVar("M", bound=Keyed)

Event = EventT[Any]
Bury = Callable[[Event, Exception], asyncio.Task[None]]


class Inbox(Generic[M]):
    """The messages of those partitions of a topic that are assigned to this process.

    in_flight: while so many messages are worked on, no more are taken.
    """

    def __init__(
        self, app: App, topic: TopicType[M], name: str, bury: Bury, *, in_flight: int
    ) -> None:
        self._app = app
        self._topic = topic
        self._name = name
        self._bury = bury
        self._room = asyncio.Semaphore(in_flight)
        self._prefixes: dict[int, Prefix[Event]] = {}
        self._channel: ChannelT[Any] = aiter(
            app.topic(
                name,
                key_type=bytes,
                key_serializer="raw",
                value_type=bytes,
                value_serializer="raw",
            )
        )

    async def messages(self) -> AsyncIterator[Received[M]]:
        """Yield what arrives; bytes that are no message are given up here."""
        while True:
            await self._room.acquire()
            event = await self._next()
            prefix = self._prefixes.setdefault(event.message.partition, Prefix())
            if prefix.receive(event.message.offset, event):
                received = self._read(prefix, event)
                if received is not None:
                    yield received
                continue
            self._room.release()
            if not prefix.is_open(event.message.offset):
                event.ack()

    def assign(self, assigned: set[TP]) -> None:
        """Take note of a rebalance: what is open in other partitions than these ends unheard."""
        kept = {tp.partition for tp in assigned if tp.topic == self._name}
        for partition in self._prefixes.keys() - kept:
            gone = self._prefixes.pop(partition)
            gone.closed = True
            for _ in range(len(gone)):
                self._room.release()

    async def _next(self) -> Event:
        while True:
            event: Event = await anext(self._channel)
            # One that was fetched before a rebalance comes again.
            if event.message.generation_id == self._app.consumer_generation_id:
                return event

    def _read(self, prefix: Prefix[Event], event: Event) -> Received[M] | None:
        reject = partial(self._reject, prefix, event)
        try:
            message = self._topic.load(event.message.value or b"")
        except BadRequest as error:
            reject(error)
            return None
        return Received(message, partial(self._done, prefix, event.message.offset), reject)

    def _done(self, prefix: Prefix[Event], offset: int) -> None:
        for event in prefix.finish(offset):
            event.ack()
            self._room.release()

    def _reject(self, prefix: Prefix[Event], event: Event, error: Exception) -> None:
        burial = self._bury(event, error)
        burial.add_done_callback(lambda task: self._buried(prefix, event.message.offset, task))

    def _buried(self, prefix: Prefix[Event], offset: int, burial: asyncio.Task[None]) -> None:
        if not burial.cancelled() and burial.exception() is None:
            self._done(prefix, offset)
