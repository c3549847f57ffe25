"""The platform with its servers in one process, from start to a graceful end."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from services.core.events import CloseReason
from services.embedded import run_platform
from services.ingestion.config import IngestionConfig
from services.ingestion.grpc_api import run_grpc
from services.ingestion.http import make_app
from services.ingestion.service import IngestionService
from soundflow.models import Model


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the servers listen. http: a URL without a path. grpc: host and port."""

    http: str
    grpc: str


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


@asynccontextmanager
async def run_servers(ingestion: IngestionService) -> AsyncIterator[Addresses]:
    """Listen for HTTP and gRPC until the context is left. OSError when a port is taken."""
    host = ingestion.config.host
    async with _run_http(ingestion) as http_port, run_grpc(ingestion) as grpc_port:
        try:
            yield Addresses(f"http://{host}:{http_port}", f"{host}:{grpc_port}")
        finally:
            ingestion.drain()
            await ingestion.close_all(CloseReason.SHUTDOWN)


@asynccontextmanager
async def _run_http(ingestion: IngestionService) -> AsyncIterator[int]:
    config = ingestion.config
    runner = web.AppRunner(
        make_app(ingestion),
        handler_cancellation=True,  # a broken connection ends its call at once
        shutdown_timeout=config.read_grace_s,
        access_log=None,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, config.host, config.http_port).start()
        port: int = runner.addresses[0][1]
        yield port
    finally:
        await runner.cleanup()


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
