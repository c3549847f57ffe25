"""Work that is cheaper together: whatever waits shares the next batch."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Batcher(Generic[ItemT, ResultT]):
    """Groups items in their order; use it on one event loop.

    work: one outcome for each item; an error that it raises is that of the whole batch.
    side_by_side: how many batches are worked on at once. largest: how many items one may have.
    """

    def __init__(
        self,
        work: Callable[[Sequence[ItemT]], Awaitable[Sequence[ResultT | Exception]]],
        *,
        side_by_side: int = 1,
        largest: int = 64,
    ) -> None:
        self._work = work
        self._side_by_side = side_by_side
        self._largest = largest
        self._waiting: deque[tuple[ItemT, asyncio.Future[ResultT]]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    def put(self, item: ItemT) -> asyncio.Future[ResultT]:
        """Queue an item; the future is done once its batch is."""
        result: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if len(self._running) < self._side_by_side:
            # It begins after all that is put just now.
            self._running.add(asyncio.create_task(self._run()))
        return result

    def close(self) -> None:
        """Cancel what is worked on and what waits."""
        for task in tuple(self._running):
            task.cancel()
        while self._waiting:
            self._waiting.popleft()[1].cancel()

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._next_batch()
        finally:  # at once, or what is put next would count on this task
            if task := asyncio.current_task():
                self._running.discard(task)

    async def _next_batch(self) -> None:
        count = min(len(self._waiting), self._largest)
        taken = [self._waiting.popleft() for _ in range(count)]
        batch = [(item, result) for item, result in taken if not result.done()]
        if batch:
            await self._work_on([item for item, _ in batch], [result for _, result in batch])

    async def _work_on(
        self, items: Sequence[ItemT], results: Sequence[asyncio.Future[ResultT]]
    ) -> None:
        try:
            outcomes = await self._work(items)
        except asyncio.CancelledError:
            for result in results:
                result.cancel()
            raise
        except Exception as error:
            outcomes = [error] * len(items)
        for result, outcome in zip(results, outcomes, strict=True):
            if result.done():  # who asked does not wait any more
                continue
            if isinstance(outcome, Exception):
                result.set_exception(outcome)
            else:
                result.set_result(outcome)
