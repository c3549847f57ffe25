"""One service as a process: from its settings to a graceful end, watched over HTTP."""

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Literal

import uvloop
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from soundflow.serving.heap import freeze_heap

log = logging.getLogger(__name__)


class RunnerConfig(BaseSettings):
    """Where a service says how it is, read from SOUNDFLOW_… variables."""

    model_config = SettingsConfigDict(env_prefix="SOUNDFLOW_", frozen=True)

    host: str = "127.0.0.1"
    admin_port: int = Field(default=9464, ge=0, le=65535)
    # What is in work when the process is told to stop may take so long; then it is cut off.
    stop_within_s: float = Field(default=20, gt=0)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"


class Health:
    """Whether the service is ready for work; others wait with theirs until it is."""

    def __init__(self) -> None:
        self.ready = False


Serve = Callable[[Health], Coroutine[None, None, None]]


def run(name: str, serve: Serve) -> None:
    """Run a service until SIGTERM or SIGINT, and end the process.

    serve: works until it is cancelled, which comes with the signal; a service that has more to do
    before it ends catches that. The exit code is 0 after a signal, 1 when it ended by itself:
    whoever keeps the process then starts it again.
    """
    config = RunnerConfig()
    logging.basicConfig(
        level=config.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    freeze_heap()
    sys.exit(uvloop.run(_run(name, serve, config)))


async def _run(name: str, serve: Serve, config: RunnerConfig) -> int:
    health, stop = Health(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serve_admin(health, config):
        serving = asyncio.create_task(serve(health), name=name)
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        health.ready = False
        if not serving.done():
            await _wind_down(name, serving, config.stop_within_s)
            return 0
        stopped.cancel()
    if not serving.cancelled() and (error := serving.exception()):
        log.error("%s failed", name, exc_info=error)
    return 1


async def _wind_down(name: str, serving: asyncio.Task[None], within_s: float) -> None:
    """Let the service end what it is doing."""
    serving.cancel()
    done, _ = await asyncio.wait({serving}, timeout=within_s)
    if not done:
        log.error("%s did not stop within %g s", name, within_s)
    elif not serving.cancelled() and (error := serving.exception()):
        log.error("%s failed while stopping", name, exc_info=error)


@asynccontextmanager
async def serve_admin(health: Health, config: RunnerConfig) -> AsyncIterator[int]:
    """Answer /healthz, /readyz and /metrics until the context is left; yield the port."""

    async def alive(request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def ready(request: web.Request) -> web.Response:
        if health.ready:
            return web.Response(text="ready\n")
        return web.Response(status=503, text="not ready\n")

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes(
        [web.get("/healthz", alive), web.get("/readyz", ready), web.get("/metrics", metrics)]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, config.host, config.admin_port).start()
    try:
        port: int = runner.addresses[0][1]
        yield port
    finally:
        await runner.cleanup()
