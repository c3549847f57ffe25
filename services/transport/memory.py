"""Topics inside one process: for `make run` and for tests."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Generic, TypeVar

from services.core import metrics
from services.core.clock import unix_us
from services.core.wire import Keyed
from services.transport.port import Kept, Received

M = TypeVar("M", bound=Keyed)

log = logging.getLogger(__name__)


class MemoryTopic(Generic[M]):
    """A bounded queue for each consumer group, and the newest `kept` messages of all sessions.

    Groups are named at the start, so that a message sent before its consumer runs is kept.
    """

    def __init__(self, *, groups: Sequence[str] = (), capacity: int = 1024, kept: int = 0) -> None:
        self._capacity = capacity
        self._queues: dict[str, asyncio.Queue[M]] = {}
        self._kept: deque[tuple[int, Kept[M]]] = deque(maxlen=kept)
        self._sent = 0
        for group in groups:
            self.add_group(group)

    def add_group(self, group: str) -> None:
        """Let a further group follow the topic, from the next message on."""
        self._queues[group] = asyncio.Queue(self._capacity)

    async def send(self, message: M) -> int:
        """Append a message for every group; wait while one of them is full."""
        self._sent += 1
        position = self._sent
        self._kept.append((unix_us(), Kept(position, message)))
        for queue in self._queues.values():
            await queue.put(message)
        return position

    async def subscribe(self, group: str) -> AsyncIterator[Received[M]]:
        """Yield the group's messages, each to one subscriber."""
        queue = self._queues[group]

        def reject(error: Exception) -> None:
            metrics.MESSAGES_REJECTED.labels(group).inc()
            log.error("%s gave up a message", group, exc_info=error)
            queue.task_done()

        while True:
            yield Received(await queue.get(), queue.task_done, reject)

    async def read(self, session_id: str, since_unix_us: int) -> AsyncIterator[Kept[M]]:
        """Yield what is kept of a session (the History port)."""
        for sent_unix_us, kept in list(self._kept):
            if kept.message.session_id == session_id and sent_unix_us >= since_unix_us:
                yield kept
