"""`POST /v1/tasks`: a file in, its events out, as one JSON answer or as server-sent events."""

import asyncio
import json
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from aiohttp import BodyPartReader, web
from aiohttp.http import HttpProcessingError

from services.core.errors import BadRequest, SoundFlowError
from services.core.events import CallerEvent, to_json
from services.ingestion.requests import TaskRequest, parse_task
from services.ingestion.service import IngestionService
from services.ingestion.task_result import TaskResult
from services.ingestion.tasks import Progress, run_task

ReadT = TypeVar("ReadT")

SPEC_BYTES = 64 << 10
PIECE_BYTES = 256 << 10
ALIVE = b": at work\n\n"  # a comment: what reads server-sent events ignores it

Running = AsyncGenerator[CallerEvent | Progress]


@dataclass(frozen=True, slots=True)
class TaskFace:
    """Runs one task for each request."""

    ingestion: IngestionService

    async def run(self, request: web.Request) -> web.StreamResponse:
        """Take the form, run the task, answer. BadRequest, Overloaded, Unavailable."""
        self.ingestion.check_room()
        if request.content_type != "multipart/form-data":
            raise BadRequest(
                "bad_form",
                f"send multipart/form-data with a part `file`, got {request.content_type}",
            )
        with tempfile.NamedTemporaryFile(prefix="soundflow-") as file:
            spec = await self._receive(request, file)
            running = run_task(
                self.ingestion,
                spec.spec(),
                Path(file.name),
                split_channels=spec.layout == "split",
            )
            async with aclosing(running):
                if "text/event-stream" in request.headers.get("Accept", ""):
                    return await self._answer_live(request, running)
                return await _answer_whole(running)

    async def _receive(self, request: web.Request, file: IO[bytes]) -> TaskRequest:
        """Write the upload to the file, never holding more than a piece of it."""
        spec = TaskRequest()
        has_file = False
        try:
            form = await request.multipart()
            while (part := await self._soon(form.next())) is not None:
                if not isinstance(part, BodyPartReader):
                    raise BadRequest("bad_form", "a part of the form is a form itself")
                if part.name == "spec":
                    spec = parse_task(await self._read_spec(part))
                elif part.name == "file" and not has_file:
                    has_file = True
                    await self._spool(part, file)
                else:
                    raise BadRequest("unknown_field", f"{part.name}: a task has `spec` and `file`")
        except (ValueError, HttpProcessingError) as error:  # what aiohttp says of a broken form
            raise BadRequest("bad_form", f"the form cannot be read: {error}") from error
        if not has_file:
            raise BadRequest("no_file", "the form has no part `file`; put the recording there")
        return spec

    async def _spool(self, part: BodyPartReader, file: IO[bytes]) -> None:
        limit_bytes = self.ingestion.config.max_task_bytes
        size_bytes = 0
        while piece := await self._soon(part.read_chunk(PIECE_BYTES)):
            size_bytes += len(piece)
            if size_bytes > limit_bytes:
                raise BadRequest(
                    "file_too_large", f"a task's file may have {limit_bytes} bytes; split it up"
                )
            await asyncio.to_thread(file.write, piece)
        await asyncio.to_thread(file.flush)

    async def _read_spec(self, part: BodyPartReader) -> bytes:
        spec = bytearray()
        while piece := await self._soon(part.read_chunk()):
            spec += piece
            if len(spec) > SPEC_BYTES:
                raise BadRequest("message_too_large", f"`spec` may have {SPEC_BYTES} bytes")
        return bytes(spec)

    async def _soon(self, reading: Awaitable[ReadT]) -> ReadT:
        """Wait for more of the upload, not for ever."""
        within_s = self.ingestion.config.open_within_s
        try:
            async with asyncio.timeout(within_s):
                return await reading
        except TimeoutError:
            raise BadRequest("upload_stalled", f"nothing came for {within_s:g} s") from None

    async def _answer_live(self, request: web.Request, running: Running) -> web.StreamResponse:
        first = await anext(running)  # what fails until here is an answer of its own
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        async with self._kept_alive(response):
            await self._write(response, _server_sent(first))
            with suppress(SoundFlowError):  # which the caller was told as an event
                async for item in running:
                    await self._write(response, _server_sent(item))
        await response.write_eof()
        return response

    @asynccontextmanager
    async def _kept_alive(self, response: web.StreamResponse) -> AsyncIterator[None]:
        """Write comments meanwhile, so that a caller can tell a long wait from a lost platform."""

        async def write() -> None:
            with suppress(ConnectionError):  # the next event meets it too
                while True:
                    await asyncio.sleep(self.ingestion.config.ping_interval_s)
                    await self._write(response, ALIVE)

        writing = asyncio.create_task(write())
        try:
            yield
        finally:
            writing.cancel()
            await asyncio.wait([writing])

    async def _write(self, response: web.StreamResponse, text: bytes) -> None:
        """Write what was sent. ConnectionError when the caller takes nothing any more."""
        # As long as it takes to find out on the other faces that nobody is there.
        within_s = 2 * self.ingestion.config.ping_interval_s
        try:
            async with asyncio.timeout(within_s):
                await response.write(text)
        except TimeoutError:
            raise ConnectionError(f"the caller took nothing for {within_s:g} s") from None


async def _answer_whole(running: Running) -> web.Response:
    result = TaskResult()
    async for item in running:
        result.add(item)
    return web.json_response(result.to_json())


def _server_sent(item: CallerEvent | Progress) -> bytes:
    data: Mapping[str, object]
    if isinstance(item, Progress):
        name, data = "progress", {"done_ms": item.done_ms, "total_ms": item.total_ms}
    else:
        name, data = item.event.type, to_json(item)
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
