"""`soundflow task`: a finished file, heard in this process or by a running platform."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from services.cli.gauges import SpeedGauge
from services.cli.models import ready_model
from services.cli.outcome import Outcome
from services.cli.output import Output
from services.cli.settings import read_settings
from services.cli.sources import probe
from services.cli.task_client import task_on_server
from services.cli.timeline import choose_output
from services.core.events import CallerEvent
from services.embedded import run_platform
from services.ingestion.config import IngestionConfig
from services.ingestion.tasks import Progress, run_task
from soundflow.interaction import SessionSpec
from soundflow.models import DEFAULT_MODEL, Model

Running = AbstractAsyncContextManager[AsyncIterator[CallerEvent | Progress]]


def run_task_command(
    path: Path,
    server: str,
    model: str | None,
    spec: SessionSpec,
    *,
    split_channels: bool,
    as_json: bool,
) -> None:
    """Do a task to its end, on the server if one is named, which refuses another model. CliError.

    model: None = the default one, or the one that the server has.
    """
    info = probe(path)
    if server:
        asked = replace(spec, model=model or "")
        running = task_on_server(server, path, asked, split_channels=split_channels)
    else:
        loaded = ready_model(model or DEFAULT_MODEL)
        running = _task_here(path, loaded, spec, split_channels=split_channels)
    channels = info.channels if split_channels else 1
    with choose_output(path.name, SpeedGauge(), channels=channels, as_json=as_json) as output:
        output.progress(0, info.duration_ms)
        asyncio.run(_follow(running, output))


async def _follow(running: Running, output: Output) -> None:
    outcome = Outcome()
    async with running as items:
        async for item in items:
            if isinstance(item, Progress):
                output.progress(item.done_ms, item.total_ms or None)
            else:
                output.show(item)
                outcome.take(item)
    outcome.check()


@asynccontextmanager
async def _task_here(
    path: Path, model: Model, spec: SessionSpec, *, split_channels: bool
) -> AsyncIterator[AsyncIterator[CallerEvent | Progress]]:
    """Run a platform for this one task."""
    async with run_platform(model, read_settings(IngestionConfig)) as ingestion:
        task = run_task(ingestion, spec, path, split_channels=split_channels)
        async with aclosing(task) as items:
            yield items
