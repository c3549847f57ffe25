"""Order within a session, none between sessions, and failures that stay where they happen."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest

from services.core.errors import Unavailable
from services.core.lanes import WAITING_JOBS, Lanes
from tests.waiting import DEADLINE_S, until


class Job(tuple[str, int]):
    """A session's job, by number; jobs that were given up are counted."""

    rejected: ClassVar[list["Job"]] = []

    def __new__(cls, session_id: str, number: int) -> "Job":
        return super().__new__(cls, (session_id, number))

    def reject(self, error: Exception) -> None:
        self.rejected.append(self)


@pytest.fixture(autouse=True)
def nothing_rejected() -> None:
    Job.rejected.clear()


@asynccontextmanager
async def lanes(
    handle: Callable[[Job], Coroutine[None, None, None]],
    given_up: list[str] | None = None,
    *,
    capacity: int = WAITING_JOBS,
) -> AsyncIterator[Lanes[Job]]:
    async def give_up(session_id: str, _: Exception) -> None:
        if given_up is not None:
            given_up.append(session_id)

    async with asyncio.TaskGroup() as group:
        yield Lanes("test", group, handle, give_up, capacity=capacity)


async def test_a_sessions_jobs_are_done_one_after_the_other_in_order() -> None:
    done: list[Job] = []
    working = 0

    async def handle(job: Job) -> None:
        nonlocal working
        working += 1
        assert working == 1
        await asyncio.sleep(0)
        working -= 1
        done.append(job)

    async with lanes(handle) as running:
        for number in range(20):
            await running.put("a", Job("a", number))
    assert done == [("a", number) for number in range(20)]


async def test_a_session_that_is_stuck_holds_up_nobody_else() -> None:
    done: list[Job] = []
    unstuck = asyncio.Event()

    async def handle(job: Job) -> None:
        if job[0] == "stuck":
            await unstuck.wait()
        done.append(job)

    async with lanes(handle) as running:
        await running.put("stuck", Job("stuck", 0))
        await running.put("b", Job("b", 0))
        await until(lambda: done == [("b", 0)])
        unstuck.set()
    assert done == [("b", 0), ("stuck", 0)]


async def test_a_job_that_fails_ends_its_session_and_no_other() -> None:
    done: list[Job] = []
    given_up: list[str] = []

    async def handle(job: Job) -> None:
        if job == ("a", 1):
            raise ValueError("this one is bad")
        done.append(job)

    async with lanes(handle, given_up) as running:
        for number in range(3):
            await running.put("a", Job("a", number))
            await running.put("b", Job("b", number))
    assert given_up == ["a"]
    assert Job.rejected == [("a", 1)]
    assert [job for job in done if job[0] == "b"] == [("b", 0), ("b", 1), ("b", 2)]


async def test_work_beside_a_lane_does_not_hold_it_up_and_fails_alike() -> None:
    done: list[Job] = []
    given_up: list[str] = []
    finish = asyncio.Event()

    async def handle(job: Job) -> None:
        done.append(job)

    async def beside() -> None:
        await finish.wait()
        raise ValueError("too late")

    async with lanes(handle, given_up) as running:
        running.beside("a", Job("a", -1), beside)
        await running.put("a", Job("a", 0))
        await until(lambda: done == [("a", 0)])
        finish.set()
    assert given_up == ["a"]


async def test_a_service_that_is_too_far_behind_takes_nothing_more() -> None:
    done: list[Job] = []
    go_on = asyncio.Event()

    async def handle(job: Job) -> None:
        await go_on.wait()
        done.append(job)

    async with lanes(handle, capacity=3) as running:
        for number in range(3):
            await running.put(f"s-{number}", Job("", number))
        one_more = asyncio.create_task(running.put("s-3", Job("", 3)))
        finished, _ = await asyncio.wait({one_more}, timeout=0.05)
        assert not finished
        go_on.set()
        await asyncio.wait_for(one_more, DEADLINE_S)
    assert len(done) == 4


async def test_an_idle_session_leaves_nothing_behind() -> None:
    async def handle(job: Job) -> None:
        await asyncio.sleep(0)

    async with lanes(handle) as running:
        for number in range(100):
            await running.put(f"s-{number}", Job("", number))
        await until(lambda: not running._queues)


async def test_what_needs_a_part_that_is_away_is_done_once_it_is_back() -> None:
    done: list[Job] = []
    given_up: list[str] = []
    failures = 3

    async def handle(job: Job) -> None:
        nonlocal failures
        if job == ("a", 0) and failures:
            failures -= 1
            raise Unavailable("away", "the store is away")
        done.append(job)

    async with lanes(handle, given_up) as running:
        await running.put("a", Job("a", 0))
        await running.put("a", Job("a", 1))
    assert done == [("a", 0), ("a", 1)]
    assert given_up == []
    assert Job.rejected == []
