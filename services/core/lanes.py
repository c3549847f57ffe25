"""One lane a session: its messages are handled in order, those of others side by side."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from services.core import metrics

JobT = TypeVar("JobT")

log = logging.getLogger(__name__)


class Lanes(Generic[JobT]):
    """Runs `handle(job)` for each job of a session in turn; sessions do not wait for each other.

    A job that fails is counted and skipped: it costs its own session at most that one message.
    """

    def __init__(
        self, service: str, group: asyncio.TaskGroup, handle: Callable[[JobT], Awaitable[None]]
    ) -> None:
        self._service = service
        self._group = group
        self._handle = handle
        self._queues: dict[str, asyncio.Queue[JobT]] = {}

    def put(self, session_id: str, job: JobT) -> None:
        """Append a job to the session's lane."""
        if session_id not in self._queues:
            self._queues[session_id] = asyncio.Queue()
            self._group.create_task(self._drain(session_id), name=f"{self._service} {session_id}")
        self._queues[session_id].put_nowait(job)

    async def _drain(self, session_id: str) -> None:
        """Work until the lane is empty, then take it down: an idle session holds no task."""
        queue = self._queues[session_id]
        while not queue.empty():
            job = queue.get_nowait()
            try:
                await self._handle(job)
            except Exception:  # a bad message never ends the service
                metrics.MESSAGES_REJECTED.labels(self._service).inc()
                log.exception("%s skipped a message of session %s", self._service, session_id)
        del self._queues[session_id]
