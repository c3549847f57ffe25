"""A running platform's `POST /v1/tasks`, from the caller's side: a file out, events in."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from services.cli.client import spec_json
from services.cli.errors import CliError
from services.cli.events import from_json
from services.cli.server import address, reaching, refusal
from services.core.events import CallerEvent
from services.ingestion.tasks import Progress
from soundflow.interaction import SessionSpec

CONNECT_S = 10.0
# Longer than a platform waits for its parts before it says so; while it works it writes meanwhile.
SILENT_S = 90.0
LONGEST_LINE_BYTES = 1 << 20


@asynccontextmanager
async def task_on_server(
    server: str, path: Path, spec: SessionSpec, *, split_channels: bool
) -> AsyncIterator[AsyncIterator[CallerEvent | Progress]]:
    """Upload the file; give the events while it is heard. CliError."""
    layout = "split" if split_channels else "mix"
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENT_S)
    async with aiohttp.ClientSession(timeout=timeout, read_bufsize=LONGEST_LINE_BYTES) as http:
        with path.open("rb") as file:
            form = aiohttp.FormData()
            form.add_field("spec", json.dumps({**spec_json(spec), "layout": layout}))
            form.add_field("file", file, filename=path.name)
            with reaching(server):
                response = await http.post(
                    address(server) / "v1/tasks",
                    data=form,
                    headers={"Accept": "text/event-stream"},
                )
        async with response:
            if response.content_type != "text/event-stream":
                message = await _error_message(response)
                raise refusal(server, response.status, response.headers, message)
            yield _server_sent(response.content)


async def _error_message(response: aiohttp.ClientResponse) -> str:
    try:
        error: dict[str, Any] = await response.json()
        return str(error["error"]["message"])
    except (aiohttp.ClientError, ValueError, KeyError, TypeError):
        return ""


async def _server_sent(lines: aiohttp.StreamReader) -> AsyncIterator[CallerEvent | Progress]:
    """Read events of one `event:` and one `data:` line each. CliError when they break off."""
    name = ""
    try:
        async for line in lines:
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data" and name == "progress":
                yield Progress(**json.loads(value))
            elif field == "data" and (told := from_json(json.loads(value))):
                yield told
    except TimeoutError as error:
        raise CliError(
            f"the platform has said nothing for {SILENT_S:g} s: it is gone, or the way to it is"
        ) from error
    except aiohttp.ClientError as error:
        raise CliError(f"the connection broke before the end: {error}") from error
