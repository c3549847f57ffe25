"""Who builds shards: Ray Data on this machine or a cluster, or processes beside this one, or it.

A worker returns results in whatever order they come. An item may be worked on twice where a
machine was lost, so that work must give the same each time and put it into place in one step.
"""

import logging
import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from typing import Any, Protocol, TypeVar

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


# Results are figures: what Ray keeps in shared memory is little.
STORE_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class OnRay:
    """Work as a Ray Data job, an item a task of one core.

    processes: of a Ray that is started on this machine, for this alone. address: of a cluster,
    whose machines see the same files under the same paths and have the same code.
    """

    processes: int
    address: str = ""

    def each(self, work: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Iterator[ResultT]:
        """See `Workers.each`. ConnectionError where Ray does not start, or is not there."""
        # Pickled here, as Ray looks for columns of numbers in what it is given, and warns of none.
        orders = [{"item": pickle.dumps(item)} for item in items]

        def task(row: dict[str, bytes]) -> dict[str, bytes]:
            # Ray would wrap an exception into one of its own; here it is a result like others.
            try:
                return {"result": pickle.dumps(work(pickle.loads(row["item"])))}
            except Exception as error:
                return {"error": pickle.dumps(error)}

        ray = _ray(self.processes, self.address)
        try:
            tasks = ray.data.from_items(orders, override_num_blocks=max(1, len(orders)))
            for row in tasks.map(task).iter_rows():
                if "error" in row:
                    raise pickle.loads(row["error"])
                yield pickle.loads(row["result"])
        finally:
            ray.shutdown()


class Kind(StrEnum):
    """How the command line names whoever works."""

    RAY = "ray"
    PROCESSES = "processes"
    HERE = "here"


def preferred() -> Kind:
    """Return Ray where it is installed."""
    return Kind.RAY if find_spec("ray") else Kind.PROCESSES


def workers(kind: Kind, processes: int, address: str = "") -> Workers:
    """Return whoever works. ValueError where an address is given to others than Ray."""
    if address and kind is not Kind.RAY:
        raise ValueError(f"an address is that of a Ray cluster; {kind} have none")
    match kind:
        case Kind.RAY:
            return OnRay(processes, address)
        case Kind.PROCESSES:
            return Beside(processes)
        case Kind.HERE:
            return Here()


def _ray(processes: int, address: str) -> Any:
    """Start Ray on this machine, heard by nobody else, or join a cluster; return the module."""
    # Read when it is imported: no reports of its use, and its ports on 127.0.0.1 alone.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not address:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray
    import ray.data

    local = {
        "num_cpus": processes,
        "include_dashboard": False,
        "object_store_memory": STORE_BYTES,
    }
    try:
        ray.init(logging_level=logging.ERROR, **({"address": address} if address else local))
    except Exception as error:  # it has no class of its own
        advice = (
            "if the cluster asks for a token: RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN"
            if address
            else "on a busy machine, `--workers processes`"
        )
        raise ConnectionError(f"Ray could not be had: {error} ({advice})") from error
    # The corpus has a progress bar of its own.
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray
