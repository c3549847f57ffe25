"""One lane a session: its messages are handled in order, those of others side by side."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Generic, Protocol, TypeVar

from tenacity import (
    AsyncRetrying,
    before_sleep_log,
    retry_if_exception_type,
    wait_exponential_jitter,
)

from services.core import metrics
from services.core.errors import Unavailable

log = logging.getLogger(__name__)

WAITING_JOBS = 4096  # of all sessions; a service that is so far behind takes nothing more


class Job(Protocol):
    """Work that can be given up."""

    @property
    def reject(self) -> Callable[[Exception], None]:
        """Give it up, for this reason."""
        ...


JobT = TypeVar("JobT", bound=Job)
ResultT = TypeVar("ResultT")
Work = Callable[[], Coroutine[None, None, None]]


class Lanes(Generic[JobT]):
    """Runs `handle(job)` for each job of a session in turn; sessions do not wait for each other.

    What needs a part that is away is tried again until that part is back: so jobs must bear being
    done twice. What fails otherwise costs its own session alone: the job is rejected, and
    `give_up(session_id, why)` ends that session, which could not go on after a message that was
    lost.
    """

    def __init__(
        self,
        service: str,
        group: asyncio.TaskGroup,
        handle: Callable[[JobT], Coroutine[None, None, None]],
        give_up: Callable[[str, Exception], Awaitable[None]],
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

    def beside(self, session_id: str, job: JobT, work: Work) -> asyncio.Task[None]:
        """Do work for a job that the session's next jobs need not wait for."""
        return self._group.create_task(self._guard(session_id, job, work))

    async def _drain(self, session_id: str) -> None:
        """Work until the lane is empty, then take it down: an idle session holds no task."""
        queue = self._queues[session_id]
        while not queue.empty():
            job = queue.get_nowait()
            await self._guard(session_id, job, lambda job=job: self._handle(job))  # type: ignore[misc]
            self._room.release()
        del self._queues[session_id]

    async def _guard(self, session_id: str, job: JobT, work: Work) -> None:
        try:
            await riding_out(work)
        except Exception as error:  # a bad message never ends the service
            log.exception("%s gave up session %s", self._service, session_id)
            job.reject(error)
            why = error  # the clause's own name is gone when the call is tried again
            await riding_out(lambda: self._give_up(session_id, why))


async def riding_out(work: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Do what needs a part that may be away, again and again until it is back."""
    try:
        return await work()
    except Unavailable as away:
        metrics.RETRIES.labels(away.code).inc()
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        wait=wait_exponential_jitter(multiplier=0.05, max=1, jitter=0.05),
        before_sleep=before_sleep_log(log, logging.WARNING),
    ):
        with attempt:
            return await work()
    raise AssertionError("it is tried for ever")
