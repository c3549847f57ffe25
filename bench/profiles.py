"""Where the Python processes of a running platform spend their time, by py-spy, at their side."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from bench.usage import pids, processes
from stack.platform import Platform

PY_SPY = Path(sys.executable).with_name("py-spy")
RATE_HZ = 100
# Only the thread that runs Python is counted, so whatever waits is not, nor what C does beside it.
OPTIONS = ("--rate", str(RATE_HZ), "--format", "raw", "--nolineno", "--gil")
PYTHON = ("python", "triton_python_ba")  # as the system cuts names


def profile(platform: Platform, folder: Path, seconds: float) -> Mapping[str, Counter[str]]:
    """Sample all parts at once; return, by part, how often each function was at work itself.

    The samples stay in the folder, a file for each part, in the format of flame graphs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    watched = list(_watched(platform))
    with ThreadPoolExecutor(len(watched)) as pool:
        files = [
            pool.submit(_record, process.pid, folder / f"{name}.txt", seconds)
            for name, process in watched
        ]
        return {
            name: _by_function(file.result())
            for (name, _), file in zip(watched, files, strict=True)
        }


def _watched(platform: Platform) -> Iterator[tuple[str, psutil.Process]]:
    for name, pid in pids(platform).items():
        for process in processes(pid):
            if process.name().startswith(PYTHON):
                yield name, process


def _record(pid: int, file: Path, seconds: float) -> Path:
    command = [str(PY_SPY), "record", "--pid", str(pid), "--duration", f"{seconds:.0f}"]
    done = subprocess.run(
        [*command, *OPTIONS, "--output", str(file)], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"py-spy cannot watch process {pid}: {done.stderr}")
    return file


def _by_function(file: Path) -> Counter[str]:
    counted: Counter[str] = Counter()
    for stack, count in _stacks(file):
        counted[stack[-1]] += count
    return counted


def _stacks(file: Path) -> Iterator[tuple[Sequence[str], int]]:
    for line in file.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        yield stack.split(";"), int(count)
