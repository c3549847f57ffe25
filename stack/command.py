"""Run what fetches: show that it goes on, and say why where it fails."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from stack.cache import Report
from stack.errors import FetchFailed

SAY_EVERY_S = 5.0
TAIL_CHARS = 2000


def run(
    name: str,
    command: Sequence[str],
    *,
    into: Path,
    report: Report,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run to the end; meanwhile report how much is in the folder. Raises FetchFailed."""
    with (
        TemporaryFile() as output,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        ) as process,
    ):
        _watch(process, name, into, report)
        if process.returncode != 0:
            output.seek(0)
            told = output.read().decode(errors="replace")[-TAIL_CHARS:].strip()
            raise FetchFailed(f"{name}: {' '.join(command[:4])} … failed:\n{told}")


def size_mb(folder: Path) -> int:
    """Return how much a folder holds, in which something writes and removes meanwhile."""
    size_bytes = 0
    for inner, _, names in os.walk(folder):  # `rglob` fails where a folder goes
        for name in names:
            with suppress(FileNotFoundError):
                size_bytes += Path(inner, name).lstat().st_size
    return round(size_bytes / 1e6)


def _watch(process: subprocess.Popen[bytes], name: str, into: Path, report: Report) -> None:
    began = time.monotonic()
    try:
        while True:
            try:
                process.wait(SAY_EVERY_S)
                return
            except subprocess.TimeoutExpired:
                report(f"{name}: {time.monotonic() - began:.0f} s, {size_mb(into)} MB")
    except BaseException:
        process.kill()
        raise
