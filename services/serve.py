"""The platform with its servers in one process, from start to a graceful end."""

import asyncio
import signal
from collections.abc import Callable

from services.embedded import run_platform
from services.ingestion.config import IngestionConfig
from services.ingestion.servers import Addresses, run_servers
from services.ingestion.service import IngestionService
from soundflow.models import Model


async def serve(
    model: Model, config: IngestionConfig, *, ready: Callable[[Addresses], None]
) -> None:
    """Serve until SIGTERM or SIGINT; call `ready` once callers can come.

    The first signal lets sessions go on for `shutdown_grace_s`, the second ends them at once.
    OSError when a port is taken.
    """
    signals = _Signals()
    async with run_platform(model, config) as ingestion, run_servers(ingestion) as addresses:
        ready(addresses)
        await signals.next()
        await _wind_down(ingestion, signals)


async def _wind_down(ingestion: IngestionService, signals: "_Signals") -> None:
    """Take nobody new, and wait for those that are here: not for ever."""
    ingestion.drain()
    waits = [
        asyncio.create_task(ingestion.all_closed()),
        asyncio.create_task(signals.next()),
    ]
    await asyncio.wait(
        waits, timeout=ingestion.config.shutdown_grace_s, return_when=asyncio.FIRST_COMPLETED
    )
    for wait in waits:
        wait.cancel()


class _Signals:
    """SIGTERM and SIGINT, one after the other, in place of what they do by default."""

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[None] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._arrived.put_nowait, None)

    async def next(self) -> None:
        """Wait for one."""
        await self._arrived.get()
