"""Topics inside one process: for `make run` and for tests."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Generic, TypeVar

from services.transport.port import Received

M = TypeVar("M")


class MemoryTopic(Generic[M]):
    """A bounded queue for each consumer group.

    Groups are named at the start, so that a message sent before its consumer runs is kept.
    """

    def __init__(self, *, groups: Sequence[str], capacity: int = 1024) -> None:
        self._capacity = capacity
        self._queues: dict[str, asyncio.Queue[M]] = {}
        for group in groups:
            self.add_group(group)

    def add_group(self, group: str) -> None:
        """Let a further group follow the topic, from the next message on."""
        self._queues[group] = asyncio.Queue(self._capacity)

    async def send(self, message: M) -> None:
        """Append a message for every group; wait while one of them is full."""
        for queue in self._queues.values():
            await queue.put(message)

    async def subscribe(self, group: str) -> AsyncIterator[Received[M]]:
        """Yield the group's messages, each to one subscriber."""
        queue = self._queues[group]
        while True:
            yield Received(await queue.get(), queue.task_done)
