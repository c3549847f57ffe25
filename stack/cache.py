"""What was fetched for the servers: one folder for each thing and version, in the user's cache."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from stack.errors import FetchFailed, Missing

Report = Callable[[str], None]

# Written last, so that a fetch that was broken off is not taken for a whole one.
DONE = "fetched"


def default_root() -> Path:
    """Return the folder in the user's cache; XDG_CACHE_HOME moves it."""
    return platformdirs.user_cache_path("soundflow") / "stack"


@dataclass(frozen=True, slots=True)
class Fetched:
    """One thing that is fetched once.

    pin: all that its content depends on; another pin is another folder.
    """

    name: str
    pin: str
    root: Path = field(default_factory=default_root)

    @property
    def folder(self) -> Path:
        """Where it is, or would be."""
        return self.root / f"{self.name}-{hashlib.sha256(self.pin.encode()).hexdigest()[:12]}"

    def locate(self) -> Path:
        """Return its folder. Raises Missing."""
        if not (self.folder / DONE).is_file():
            raise Missing(f"{self.name} is not in {self.root}; fetch it: make stack-fetch")
        return self.folder

    def fetch(self, make: Callable[[Path], None], report: Report) -> Path:
        """Return its folder; `make` fills it where it is not there. Raises FetchFailed."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with self._locked(report):
                if not (self.folder / DONE).is_file():
                    shutil.rmtree(self.folder, ignore_errors=True)
                    self.folder.mkdir()
                    make(self.folder)
                    (self.folder / DONE).touch()
        except OSError as error:
            raise FetchFailed(
                f"cannot fetch {self.name} into {self.root}: {error}; "
                "make it writable, make room, or set XDG_CACHE_HOME to another folder"
            ) from error
        return self.folder

    @contextmanager
    def _locked(self, report: Report) -> Iterator[None]:
        lock = FileLock(self.root / f".{self.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report(f"{self.name}: another process is fetching it; waiting")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()
