"""Which servers there are now: names of servers, looked up again and again."""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)


class Addresses:
    """host:port names, each of which may stand for several servers."""

    def __init__(self, names: Sequence[str]) -> None:
        self._found: dict[str, frozenset[str]] = dict.fromkeys(names, frozenset())

    async def find(self) -> frozenset[str]:
        """Return ip:port of all servers; a name that cannot be looked up keeps those it had."""
        for name in self._found:
            try:
                self._found[name] = await _lookup(name)
            except (OSError, UnicodeError) as error:  # the latter of what no name can be
                log.warning("%s could not be looked up: %s", name, error)
        return frozenset().union(*self._found.values())

    async def watch(self, found: Callable[[frozenset[str]], None], *, every_s: float) -> None:
        """Tell the servers now and every so often, until cancelled."""
        while True:
            found(await self.find())
            await asyncio.sleep(every_s)


async def _lookup(name: str) -> frozenset[str]:
    host, _, port = name.rpartition(":")
    results = await asyncio.get_running_loop().getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_STREAM
    )
    return frozenset(_address(*place[:2]) for *_, place in results)


def _address(host: str | int, port: str | int) -> str:
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
