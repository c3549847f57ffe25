"""One lane a session: its messages are handled in order, those of others side by side."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Generic, TypeVar

from services.core import metrics

JobT = TypeVar("JobT")

log = logging.getLogger(__name__)

WAITING_JOBS = 4096  # of all sessions; a service that is so far behind takes nothing more


class Lanes(Generic[JobT]):
    """Runs `handle(job)` for each job of a session in turn; sessions do not wait for each other.

    What fails costs its own session alone: it is counted, and `give_up(session_id)` ends that
    session, which could not go on after a message that was lost.
    """

    def __init__(
        self,
        service: str,
        group: asyncio.TaskGroup,
        handle: Callable[[JobT], Coroutine[None, None, None]],
        give_up: Callable[[str], Awaitable[None]],
        *,
        capacity: int = WAITING_JOBS,
    ) -> None:
        self._service = service
        self._group = group
        self._handle = handle
        self._give_up = give_up
        self._room = asyncio.Semaphore(capacity)
        self._queues: dict[str, asyncio.Queue[JobT]] = {}

    async def put(self, session_id: str, job: JobT) -> None:
        """Append a job to the session's lane; wait while too many wait in all lanes."""
        await self._room.acquire()
        if session_id not in self._queues:
            self._queues[session_id] = asyncio.Queue()
            self._group.create_task(self._drain(session_id), name=f"{self._service} {session_id}")
        self._queues[session_id].put_nowait(job)

    def beside(self, session_id: str, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Do work of a session that its next jobs need not wait for."""
        return self._group.create_task(self._guard(session_id, work))

    async def _drain(self, session_id: str) -> None:
        """Work until the lane is empty, then take it down: an idle session holds no task."""
        queue = self._queues[session_id]
        while not queue.empty():
            await self._guard(session_id, self._handle(queue.get_nowait()))
            self._room.release()
        del self._queues[session_id]

    async def _guard(self, session_id: str, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception:  # a bad message never ends the service
            metrics.MESSAGES_REJECTED.labels(self._service).inc()
            log.exception("%s gave up session %s", self._service, session_id)
            await self._give_up(session_id)
