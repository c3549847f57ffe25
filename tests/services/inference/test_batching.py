"""Batches of whatever waits: nothing is lost, stuck, or answered with another's result."""

import asyncio
from collections.abc import Sequence

import pytest

from services.inference.batching import Batcher
from tests.waiting import DEADLINE_S, until


class Doubling:
    """Doubles numbers; waits while held. An item below 0 fails alone, one of 99 fails them all."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.free = asyncio.Event()
        self.free.set()

    async def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(items))
        await self.free.wait()
        if 99 in items:
            raise OverflowError("too many")
        return [ValueError(item) if item < 0 else 2 * item for item in items]


async def test_what_is_put_together_is_one_batch() -> None:
    work = Doubling()
    batches = Batcher[int, int](work)
    assert await asyncio.gather(*map(batches.put, range(5))) == [0, 2, 4, 6, 8]
    assert work.batches == [[0, 1, 2, 3, 4]]


async def test_batches_have_a_largest_size_and_run_side_by_side() -> None:
    work = Doubling()
    work.free.clear()
    batches = Batcher[int, int](work, side_by_side=2, largest=2)
    results = [batches.put(number) for number in range(6)]
    await until(lambda: len(work.batches) == 2)
    await asyncio.sleep(0.02)
    assert work.batches == [[0, 1], [2, 3]]
    work.free.set()
    assert await asyncio.gather(*results) == [0, 2, 4, 6, 8, 10]


async def test_one_that_is_put_as_the_last_batch_ends_is_not_forgotten() -> None:
    batches = Batcher[int, int](Doubling())
    first = batches.put(1)
    second: list[asyncio.Future[int]] = []
    first.add_done_callback(lambda _: second.append(batches.put(2)))
    await first
    await until(lambda: bool(second))
    assert await asyncio.wait_for(second[0], DEADLINE_S) == 4


async def test_an_item_may_fail_alone_or_a_batch_as_a_whole() -> None:
    batches = Batcher[int, int](Doubling())
    good, bad = batches.put(1), batches.put(-1)
    assert await good == 2
    with pytest.raises(ValueError, match="-1"):
        await bad
    both = [batches.put(1), batches.put(99)]
    for result in both:
        with pytest.raises(OverflowError):
            await result


async def test_closing_cancels_what_is_under_way_and_what_waits() -> None:
    work = Doubling()
    work.free.clear()
    batches = Batcher[int, int](work, largest=1)
    results = [batches.put(number) for number in range(3)]
    await until(lambda: bool(work.batches))
    batches.close()
    for result in results:
        with pytest.raises(asyncio.CancelledError):
            await result
