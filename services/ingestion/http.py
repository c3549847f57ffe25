"""The HTTP face: live streams, tasks, health, metrics and the console, all on one port."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.core import metrics
from services.core.errors import (
    BadRequest,
    Failed,
    NoDecoder,
    Overloaded,
    SessionExists,
    SessionUnknown,
    SoundFlowError,
    Unavailable,
)
from services.ingestion.http_tasks import TaskFace
from services.ingestion.service import IngestionService
from services.ingestion.websocket import WebSocketFace
from services.state.port import Fenced

CONSOLE = Path(__file__).parents[1] / "console"

_STATUS: dict[type[SoundFlowError], int] = {
    BadRequest: 400,
    SessionUnknown: 404,
    SessionExists: 409,
    Fenced: 409,
    Overloaded: 429,
    NoDecoder: 429,
    Unavailable: 503,
    Failed: 500,
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(ingestion: IngestionService) -> web.Application:
    """Return the application that serves everything that speaks HTTP."""

    async def ready(request: web.Request) -> web.Response:
        if not ingestion.accepting:
            return web.Response(status=503, text="shutting down\n")
        return web.Response(text="ready\n")

    app = web.Application(middlewares=[_tell_errors(ingestion.config.retry_after_s)])
    app.add_routes(
        [
            web.get("/v1/stream", WebSocketFace(ingestion).stream),
            web.post("/v1/tasks", TaskFace(ingestion).run),
            web.get("/healthz", _alive),
            web.get("/readyz", ready),
            web.get("/metrics", _metrics),
            web.get("/", _console),
            web.static("/", CONSOLE),
        ]
    )
    app.on_response_prepare.append(_revalidate_console)
    return app


def error_json(error: SoundFlowError) -> dict[str, dict[str, str]]:
    """Return the body of an answer that is an error."""
    return {"error": {"code": error.code, "message": error.message}}


def _tell_errors(retry_after_s: int) -> Middleware:
    """Answer with the status that fits an error, and say when to try again."""

    @web.middleware
    async def tell(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except SoundFlowError as error:
            metrics.REQUEST_ERRORS.labels(error.code).inc()
            headers = {}
            if isinstance(error, Overloaded):
                headers["Retry-After"] = str(error.retry_after_s)
            elif isinstance(error, Unavailable | NoDecoder):
                headers["Retry-After"] = str(retry_after_s)
            return web.json_response(error_json(error), status=_status(error), headers=headers)

    return tell


def _status(error: SoundFlowError) -> int:
    if error.code == "file_too_large":
        return 413
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)


async def _alive(request: web.Request) -> web.Response:
    return web.Response(text="alive\n")


async def _metrics(request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _console(request: web.Request) -> web.FileResponse:
    return web.FileResponse(CONSOLE / "index.html")


async def _revalidate_console(request: web.Request, response: web.StreamResponse) -> None:
    """Let browsers ask each time: modules of two versions must not meet in one page."""
    if isinstance(response, web.FileResponse):
        response.headers["Cache-Control"] = "no-cache"
