import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.cli import task_client
from services.cli.errors import CliError
from services.cli.task_client import task_on_server
from services.ingestion.tasks import Progress
from soundflow.interaction import SessionSpec

PROGRESS = b'event: progress\ndata: {"done_ms": 400, "total_ms": 800}\n\n'

Answer = Callable[[web.StreamResponse], Awaitable[None]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "call.wav"
    path.write_bytes(b"the server here does not look")
    return path


async def progress_of(answer: Answer, file: Path) -> list[int]:
    """Return what a platform tells of progress, whose answer is written so."""

    async def run(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await answer(response)
        return response

    app = web.Application()
    app.add_routes([web.post("/v1/tasks", run)])
    async with TestServer(app) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with task_on_server(url, file, SessionSpec(), split_channels=False) as told:
            return [item.done_ms async for item in told if isinstance(item, Progress)]


async def test_a_platform_that_falls_silent_is_given_up(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fall_silent(response: web.StreamResponse) -> None:
        await response.write(PROGRESS)
        await asyncio.Event().wait()

    monkeypatch.setattr(task_client, "SILENT_S", 0.2)
    with pytest.raises(CliError, match="has said nothing for 0.2 s"):
        await progress_of(fall_silent, file)


async def test_a_platform_that_says_it_is_at_work_is_waited_for(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work_long(response: web.StreamResponse) -> None:
        for _ in range(10):
            await response.write(b": at work\n\n")
            await asyncio.sleep(0.2)
        await response.write(PROGRESS)

    monkeypatch.setattr(task_client, "SILENT_S", 1.0)
    assert await progress_of(work_long, file) == [400]
