"""What one process receives of one topic, and what became of each message."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from faust.types import TP, EventT

from services.core import metrics
from services.core.errors import BadRequest
from services.core.wire import Keyed, TopicType
from services.transport.kafka.app import App
from services.transport.kafka.prefix import Prefix
from services.transport.port import Received

M = TypeVar("M", bound=Keyed)

Event = EventT[Any]
Bury = Callable[[Event, Exception], asyncio.Task[None]]
Written = Callable[[int], asyncio.Future[Any] | None]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an inbox stands.

    taken: the next offset of each partition that anything was taken of; floors: the first that is
    not finished. queued: messages that were fetched and not taken. held_s: age of the oldest that
    was taken and is not finished.
    """

    taken: dict[int, int]
    floors: dict[int, int]
    queued: int
    held_s: float


class Inbox(Generic[M]):
    """The messages of those partitions of a topic that are assigned to this process.

    in_flight: while so many messages are worked on, no more are taken.
    unacknowledged: nor while so many are, finished ones that wait for an earlier one included.
    written: what of a partition must be kept before a message of it is finished.
    """

    def __init__(
        self,
        app: App,
        topic: TopicType[M],
        name: str,
        bury: Bury,
        *,
        in_flight: int,
        unacknowledged: int,
        written: Written,
    ) -> None:
        self.name = name
        self.topic = topic
        self.assigned: frozenset[int] = frozenset()
        self._acknowledges = True
        self._app = app
        self._bury = bury
        self._written = written
        self._hands = asyncio.Semaphore(in_flight)
        self._room = asyncio.Semaphore(unacknowledged)
        self._prefixes: dict[int, Prefix[Event]] = {}
        # Faust empties its own queues whenever it goes on after a rebalance; with a table to
        # recover, it fetches before that, and what it fetched would be lost.
        self._queue = app.FlowControlQueue(app.conf.stream_buffer_maxsize, clear_on_resume=False)
        app.follow(name, self._queue)

    async def messages(self) -> AsyncIterator[Received[M]]:
        """Yield what arrives; bytes that are no message are given up here."""
        while True:
            await self._room.acquire()
            await self._hands.acquire()
            event = await self._next()
            prefix = self._prefixes.setdefault(event.message.partition, Prefix())
            if prefix.receive(event.message.offset, event):
                metrics.MESSAGES_RECEIVED.labels(self.topic.name).inc()
                received = self._read(prefix, event)
                if received is not None:
                    yield received
                continue
            self._hands.release()
            self._room.release()
            if not prefix.is_open(event.message.offset):
                event.ack()

    def suspend(self) -> None:
        """Acknowledge nothing until the next assignment: a later owner may have begun by then.

        What is finished meanwhile comes again if it stays here, and is acknowledged then.
        """
        self._acknowledges = False

    def assign(self, assigned: set[TP]) -> None:
        """Take note of a rebalance: what is open in other partitions than these ends unheard."""
        self._acknowledges = True
        self.assigned = frozenset(tp.partition for tp in assigned if tp.topic == self.name)
        for partition in self._prefixes.keys() - self.assigned:
            gone = self._prefixes.pop(partition)
            gone.closed = True
            for _ in range(gone.worked_on()):
                self._hands.release()
            for _ in range(len(gone)):
                self._room.release()

    def floors(self) -> list[tuple[TP, int]]:
        """Return the first offset of each partition that is not finished."""
        return [
            (TP(self.name, partition), prefix.floor) for partition, prefix in self._prefixes.items()
        ]

    def standing(self) -> Standing:
        """Return where it stands now."""
        prefixes = self._prefixes
        return Standing(
            taken={partition: prefix.next_offset for partition, prefix in prefixes.items()},
            floors={partition: prefix.floor for partition, prefix in prefixes.items()},
            queued=self._queue.qsize(),
            held_s=max((prefix.held_s() for prefix in prefixes.values()), default=0.0),
        )

    async def _next(self) -> Event:
        while True:
            event: Event = await self._queue.get()
            # One that was fetched before a rebalance comes again.
            if event.message.generation_id == self._app.consumer_generation_id:
                return event

    def _read(self, prefix: Prefix[Event], event: Event) -> Received[M] | None:
        reject = partial(self._reject, prefix, event)
        try:
            message = self.topic.load(event.message.value or b"")
        except BadRequest as error:
            reject(error)
            return None
        return Received(message, partial(self._done, prefix, event), reject)

    def _done(self, prefix: Prefix[Event], event: Event) -> None:
        # It may wait long for its acknowledgement, beside many others.
        event.value = event.message.value = None
        first = self._written(event.message.partition)
        if first is None:
            self._finish(prefix, event.message.offset)
        else:
            self._finish_after(first, prefix, event)

    def _finish_after(
        self, first: asyncio.Future[Any], prefix: Prefix[Event], event: Event
    ) -> None:
        def finish(first: asyncio.Future[Any]) -> None:
            if not first.cancelled() and first.exception() is None:
                self._finish(prefix, event.message.offset)

        first.add_done_callback(finish)

    def _finish(self, prefix: Prefix[Event], offset: int) -> None:
        if prefix.is_worked_on(offset):
            self._hands.release()
        for event in prefix.finish(offset):
            if self._acknowledges:
                event.ack()
            self._room.release()

    def _reject(self, prefix: Prefix[Event], event: Event, error: Exception) -> None:
        self._finish_after(self._bury(event, error), prefix, event)
