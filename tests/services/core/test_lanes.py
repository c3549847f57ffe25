"""Order within a session, none between sessions, and failures that stay where they happen."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

from services.core.lanes import WAITING_JOBS, Lanes
from tests.waiting import DEADLINE_S, until

Job = tuple[str, int]


@asynccontextmanager
async def lanes(
    handle: Callable[[Job], Coroutine[None, None, None]],
    given_up: list[str] | None = None,
    *,
    capacity: int = WAITING_JOBS,
) -> AsyncIterator[Lanes[Job]]:
    async def give_up(session_id: str) -> None:
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
            await running.put("a", ("a", number))
    assert done == [("a", number) for number in range(20)]


async def test_a_session_that_is_stuck_holds_up_nobody_else() -> None:
    done: list[Job] = []
    unstuck = asyncio.Event()

    async def handle(job: Job) -> None:
        if job[0] == "stuck":
            await unstuck.wait()
        done.append(job)

    async with lanes(handle) as running:
        await running.put("stuck", ("stuck", 0))
        await running.put("b", ("b", 0))
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
            await running.put("a", ("a", number))
            await running.put("b", ("b", number))
    assert given_up == ["a"]
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
        running.beside("a", beside())
        await running.put("a", ("a", 0))
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
            await running.put(f"s-{number}", ("", number))
        one_more = asyncio.create_task(running.put("s-3", ("", 3)))
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
            await running.put(f"s-{number}", ("", number))
        await until(lambda: not running._queues)
