"""Who builds shards: this process, or several beside each other. Another way is one more class.

A worker returns results in whatever order they come; each item is worked on once.
"""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Protocol, TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Workers(Protocol):
    """Do the same with many items."""

    def each(self, work: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Iterator[ResultT]:
        """Yield what becomes of them. What a piece of work raises is raised."""
        ...


class Here:
    """Work in this process, one item after the other."""

    def each(self, work: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Iterator[ResultT]:
        """See `Workers.each`."""
        yield from map(work, items)


@dataclass(frozen=True, slots=True)
class Beside:
    """Work in several processes of this machine."""

    processes: int

    def each(self, work: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Iterator[ResultT]:
        """See `Workers.each`."""
        # A process that has threads (as a recogniser has) must not be forked.
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(self.processes, mp_context=spawn) as pool:
            waiting = [pool.submit(work, item) for item in items]
            try:
                for done in as_completed(waiting):
                    yield done.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def workers(processes: int) -> Workers:
    """Return whoever works in so many processes."""
    return Here() if processes <= 1 else Beside(processes)
