"""A platform of the benchmark's own, in a process of its own."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

SOUNDFLOW = str(Path(sys.executable).with_name("soundflow"))

# What `soundflow serve` says on standard output once callers can come.
ANNOUNCEMENT = re.compile(r"Console: (?P<url>http://\S+)")
STOPPING_S = 30


@dataclass(frozen=True, slots=True)
class Platform:
    """A running platform. url: `http://127.0.0.1:PORT`."""

    url: str
    pid: int


@contextmanager
def running_platform(*arguments: str) -> Iterator[Platform]:
    """Start `soundflow serve` on free ports, yield once it is ready, stop it at the end.

    RuntimeError with the platform's log when it does not start.
    """
    with TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [SOUNDFLOW, "serve", "--http-port", "0", "--grpc-port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdout is not None
        try:
            yield Platform(_announced_url(process.stdout, log), process.pid)
        finally:
            process.terminate()
            process.wait(timeout=STOPPING_S)
            process.stdout.close()


def _announced_url(stdout: IO[str], log: IO[str]) -> str:
    for line in stdout:
        if found := ANNOUNCEMENT.search(line):
            return found["url"]
    log.seek(0)
    raise RuntimeError(f"the platform did not start:\n{log.read()}")
