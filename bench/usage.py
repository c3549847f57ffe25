"""What each part of a running platform uses of the machine: time, memory, files, threads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psutil

from stack.keeper import Keeper
from stack.platform import Platform


@dataclass(frozen=True, slots=True)
class Usage:
    """One part, with all its processes. cpu_s: since they began."""

    cpu_s: float
    resident_bytes: int
    files: int
    threads: int


def usage(platform: Platform) -> Mapping[str, Usage]:
    """Return what each part uses now, by its name."""
    return {name: _sum(list(processes(pid))) for name, pid in pids(platform).items()}


def pids(platform: Platform) -> Mapping[str, int]:
    """Return each part's first process."""
    states = Keeper(platform.settings.folder).states()
    return {name: state.pid for name, state in states.items() if state.pid}


def processes(pid: int) -> Iterator[psutil.Process]:
    """Yield a part's first process and all that it started; none where it has ended."""
    try:
        first = psutil.Process(pid)
        yield first
        yield from first.children(recursive=True)
    except psutil.NoSuchProcess:
        return


def _sum(parts: list[psutil.Process]) -> Usage:
    cpu_s, resident_bytes, files, threads = 0.0, 0, 0, 0
    for process in parts:
        try:
            with process.oneshot():
                times = process.cpu_times()
                cpu_s += times.user + times.system
                resident_bytes += process.memory_info().rss
                files += process.num_fds()
                threads += process.num_threads()
        except psutil.NoSuchProcess:  # it ended just now
            continue
    return Usage(cpu_s, resident_bytes, files, threads)
