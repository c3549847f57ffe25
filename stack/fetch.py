"""All that a machine needs beside Python's packages, as one table."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stack import kafka, prometheus, redis, triton
from stack.cache import Report
from stack.errors import StackError


@dataclass(frozen=True, slots=True)
class Need:
    """What one kind of server needs. Both calls raise Missing; `fetch` may raise FetchFailed."""

    locate: Callable[[], Path]
    fetch: Callable[[Report], Path]


NEEDS: Mapping[str, Need] = {
    "kafka": Need(kafka.locate, kafka.fetch),
    "redis": Need(redis.locate, redis.fetch),
    "triton": Need(triton.locate, triton.fetch),
    "prometheus": Need(prometheus.locate, prometheus.fetch),
}


def missing(name: str) -> str:
    """Say what a kind of server lacks on this machine; "" when it can be started."""
    try:
        NEEDS[name].locate()
    except StackError as error:
        return str(error)
    return ""


def fetch_all(names: Iterable[str], report: Report) -> dict[str, StackError]:
    """Fetch what these servers need; return those that cannot be had, each with its reason."""
    failed = {}
    for name in names:
        try:
            where = NEEDS[name].fetch(report)
        except StackError as error:
            failed[name] = error
        else:
            report(f"{name}: {where}")
    return failed
