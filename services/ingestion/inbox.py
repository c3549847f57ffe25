"""What a caller has sent and the call has not taken yet, bounded by the room that it takes."""

import asyncio
from collections import deque

from aiohttp import WSMessage

MESSAGE_BYTES = 256  # what a message takes beside its data; an empty one takes room too


class Inbox:
    """Lets a connection be read, and pings be answered, while the call waits with audio.

    One that is full makes the reader wait, and by that slows the sender down.
    """

    def __init__(self, *, limit_bytes: int) -> None:
        self._messages: deque[WSMessage] = deque()
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._changed = asyncio.Condition()

    async def put(self, message: WSMessage) -> None:
        """Append a text or binary message; wait while others fill the room."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._held_bytes < self._limit_bytes)
            self._messages.append(message)
            self._held_bytes += _size(message)
            self._changed.notify_all()

    async def get(self) -> WSMessage:
        """Take the oldest message; wait for one."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._messages))
            message = self._messages.popleft()
            self._held_bytes -= _size(message)
            self._changed.notify_all()
            return message


def _size(message: WSMessage) -> int:
    return len(message.data) + MESSAGE_BYTES
