"""What services hold in memory, by type: `python -m bench.heap MODULE` runs one that can be asked.

On SIGUSR1 it writes how many objects of each type it has, garbage collected, and how many blocks of
memory; what grows from one time to the next with each call is what a call leaves behind.
"""

import gc
import json
import os
import runpy
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from bench.usage import pids
from stack.parts import Parts
from stack.platform import Platform
from stack.service import Service
from stack.settings import SERVICES

FILE = "heap.json"  # in the folder of the part
ANSWERS_WITHIN_S = 60.0
POLL_S = 0.1
SHOWN_TYPES = 5


@dataclass(frozen=True, slots=True)
class Heap:
    """What one process holds. blocks: of memory, objects that are not collected included."""

    blocks: int
    objects: Mapping[str, int]


class WatchedService(Service):
    """A service that can be asked."""

    def command(self) -> Sequence[str]:
        """Return the process's command line."""
        return [sys.executable, "-m", "bench.heap", f"services.{self.kind}.main"]


class WatchedParts(Parts):
    """Parts whose services can be asked."""

    def _service(self, kind: str, name: str) -> Service:
        env = self.service_environment(name)
        return WatchedService(self._folder(name), kind, name, self.settings.ports[name], env)


def heaps(platform: Platform) -> Mapping[str, Heap]:
    """Ask all services of watched parts. TimeoutError where one does not answer."""
    running = pids(platform)
    names = [name for kind in SERVICES for name in platform.settings.names(kind)]
    return {name: ask(running[name], platform.settings.folder / name / FILE) for name in names}


def ask(pid: int, file: Path) -> Heap:
    """Ask one process that writes to this file. TimeoutError where it does not answer."""
    file.unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR1)
    deadline_s = time.monotonic() + ANSWERS_WITHIN_S
    while not file.exists():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"nothing wrote {file} in {ANSWERS_WITHIN_S:g} s")
        time.sleep(POLL_S)
    return Heap(**json.loads(file.read_text()))


def growth(before: Mapping[str, Heap], after: Mapping[str, Heap], calls: int) -> Table:
    """Return what has grown in so many calls: for each of them."""
    shown = Table("left by a call", "blocks", "objects", box=None)
    for name, was in before.items():
        now = after[name]
        more = Counter(now.objects)
        more.subtract(was.objects)
        types = [f"{kind} {n / calls:.2f}" for kind, n in more.most_common(SHOWN_TYPES) if n > 0]
        blocks = (now.blocks - was.blocks) / calls
        shown.add_row(name, f"{blocks:.2f}", ", ".join(types))
    return shown


def _write(file: Path) -> None:
    gc.collect()
    objects = Counter(
        f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects()
    )
    part = file.with_suffix(".part")
    part.write_text(json.dumps({"blocks": sys.getallocatedblocks(), "objects": objects}))
    part.rename(file)


def main() -> None:
    """Run the module that is named as if it were run by itself."""
    file = Path(FILE).absolute()
    signal.signal(signal.SIGUSR1, lambda *_: _write(file))
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
