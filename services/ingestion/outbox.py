"""Events on their way to one caller: bounded, ended by the last session's close."""

from asyncio import Event as Flag
from collections import deque
from collections.abc import AsyncIterator

from services.core.events import CallerEvent, SessionClosed


class Outbox:
    """A queue between the services, which never wait, and a caller, who may be slow.

    `sessions`: how many sessions share it; the iterator ends after that many `session.closed`.
    """

    def __init__(self, *, capacity: int, sessions: int) -> None:
        self._events: deque[CallerEvent] = deque()
        self._capacity = capacity
        self._open_sessions = sessions
        self._shut = False
        self._changed = Flag()
        self._read = Flag()

    @property
    def full(self) -> bool:
        """The caller has fallen too far behind."""
        return len(self._events) >= self._capacity

    def put(self, event: CallerEvent) -> None:
        """Append an event; the caller of this sees to it that a full outbox is closed."""
        if self._shut:
            return
        self._events.append(event)
        self._changed.set()

    async def room(self) -> None:
        """Wait until it is half empty; for what need not be told in time."""
        while len(self._events) > self._capacity // 2 and not self._shut:
            self._read.clear()
            await self._read.wait()

    def shut(self) -> None:
        """Take nothing more: whoever reads gets what waits, and then the end."""
        self._shut = True
        self._changed.set()
        self._read.set()

    def drop_unread(self) -> None:
        """Forget what the caller did not read, to make place for the reason.

        A close that waits already is kept: the iterator counts them.
        """
        closes = [told for told in self._events if isinstance(told.event, SessionClosed)]
        self._events.clear()
        self._events.extend(closes)
        self._read.set()

    async def __aiter__(self) -> AsyncIterator[CallerEvent]:
        """Yield events as they come, until every session is closed or it is shut."""
        while self._open_sessions:
            while not self._events:
                if self._shut:
                    return
                self._changed.clear()
                await self._changed.wait()
            event = self._events.popleft()
            self._read.set()
            if isinstance(event.event, SessionClosed):
                self._open_sessions -= 1
            yield event
