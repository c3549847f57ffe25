"""A platform of the benchmark's own, in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Platform:
    """A running platform. url: `http://127.0.0.1:PORT`."""

    url: str
    pid: int


@contextmanager
def running_platform(*arguments: str) -> Iterator[Platform]:
    """Start `soundflow serve` on free ports, yield once it is ready, stop it at the end."""
    command = [sys.executable, "-m", "services.cli.main", "serve", "--json"]
    process = subprocess.Popen(
        [*command, "--http-port", "0", "--grpc-port", "0", *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield Platform(ready["http"], process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)
