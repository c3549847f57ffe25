"""What callers connect to on one replica, from the first port to the last farewell."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from services.core.events import CloseReason
from services.ingestion.grpc_api import run_grpc
from services.ingestion.http import make_app
from services.ingestion.service import IngestionService


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the servers listen. http: a URL without a path. grpc: host and port."""

    http: str
    grpc: str


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
