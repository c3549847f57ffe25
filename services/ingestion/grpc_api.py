"""The gRPC face: InteractionService, with health and reflection beside it."""
# ruff: noqa: N802 - protobuf gives the calls their names

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import IO, Any, Never, TypeVar

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.core import metrics
from services.core.errors import (
    BadRequest,
    Failed,
    NoDecoder,
    Overloaded,
    ProtocolBroken,
    SessionExists,
    SessionUnknown,
    SoundFlowError,
    Unavailable,
)
from services.core.events import CallerEvent, CloseReason
from services.core.generated.soundflow.v1 import interaction_service_pb2 as api
from services.core.generated.soundflow.v1 import interaction_service_pb2_grpc as rpc
from services.core.wire_events import event_to_proto
from services.core.wire_values import spec_from_proto
from services.ingestion.call import Call
from services.ingestion.config import IngestionConfig
from services.ingestion.conversation import CallerGone, answer_faults, converse
from services.ingestion.grpc_wire import (
    claims_from_proto,
    format_from_proto,
    record_to_proto,
    splits_channels,
)
from services.ingestion.resuming import Claim
from services.ingestion.service import IngestionService
from services.ingestion.tasks import Progress, run_task
from services.state.port import Fenced
from soundflow.interaction import SessionSpec

# Room for the rest of a message around the audio, so that audio over the limit is our own error.
ENVELOPE_BYTES = 64 << 10

BROKEN_WITHIN_S = 0.05

_STATUS: dict[type[SoundFlowError], grpc.StatusCode] = {
    BadRequest: grpc.StatusCode.INVALID_ARGUMENT,
    SessionUnknown: grpc.StatusCode.NOT_FOUND,
    SessionExists: grpc.StatusCode.FAILED_PRECONDITION,
    Fenced: grpc.StatusCode.ABORTED,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    NoDecoder: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    Failed: grpc.StatusCode.INTERNAL,
}

RequestT = TypeVar("RequestT")
Context = grpc.aio.ServicerContext[Any, Any]


class InteractionServicer(rpc.InteractionServiceServicer):
    """The public API on one replica."""

    def __init__(self, ingestion: IngestionService) -> None:
        self._ingestion = ingestion

    async def Stream(self, requests: AsyncIterator[api.StreamRequest], context: Context) -> None:
        """Hold one call to its end."""
        async with self._errors_told(context):
            first = await self._first(requests)
            self._ingestion.check_entry()
            call = self._open_call(first)

            async def say(told: CallerEvent) -> None:
                await context.write(event_to_proto(told))

            async with call:
                # gRPC cannot end a call while a message of it waits to be read. By then the
                # sessions are closed; what is left is one message, until the connection ends.
                listen = _listen(call, requests, context)
                broken = await converse(call, listen, say, read_grace_s=None)
            if broken:
                await self._abort(context, broken)

    async def Instruct(
        self, request: api.InstructRequest, context: Context
    ) -> api.InstructResponse:
        """Give a session of any face a new instruction."""
        async with self._errors_told(context):
            await self._ingestion.instruct(request.session_id, request.text)
        return api.InstructResponse()

    async def GetSession(
        self, request: api.GetSessionRequest, context: Context
    ) -> api.GetSessionResponse:
        """Say what is known of a session, open or closed."""
        async with self._errors_told(context):
            return record_to_proto(await self._ingestion.record(request.session_id))

    async def CloseSession(
        self, request: api.CloseSessionRequest, context: Context
    ) -> api.CloseSessionResponse:
        """End a session."""
        async with self._errors_told(context):
            await self._ingestion.close(request.session_id, CloseReason.CLOSED_BY_CALLER)
        return api.CloseSessionResponse()

    async def RunTask(self, requests: AsyncIterator[api.RunTaskRequest], context: Context) -> None:
        """Take a file, then hear it."""
        async with self._errors_told(context):
            first = await self._first(requests)
            if first.WhichOneof("request") != "open":
                raise ProtocolBroken("no_open", "the first request of a task must hold `open`")
            self._ingestion.check_room()
            opening = first.open
            with tempfile.NamedTemporaryFile(prefix="soundflow-") as file:
                await self._spool(requests, file)
                running = run_task(
                    self._ingestion,
                    spec_from_proto(opening.spec),
                    Path(file.name),
                    split_channels=splits_channels(opening.layout),
                )
                async with aclosing(running):
                    async for item in running:
                        await context.write(_task_response(item))

    @asynccontextmanager
    async def _errors_told(self, context: Context) -> AsyncIterator[None]:
        """Count an error and end the call with the status that fits it."""
        try:
            yield
        except SoundFlowError as error:
            metrics.REQUEST_ERRORS.labels(error.code).inc()
            await self._abort(context, error)

    async def _abort(self, context: Context, error: SoundFlowError) -> Never:
        metadata = [("soundflow-error", error.code)]
        if isinstance(error, Overloaded):
            metadata.append(("retry-after", str(error.retry_after_s)))
        elif isinstance(error, Unavailable | NoDecoder):
            metadata.append(("retry-after", str(self._ingestion.config.retry_after_s)))
        await context.abort(_status(error), error.message, tuple(metadata))

    async def _first(self, requests: AsyncIterator[RequestT]) -> RequestT:
        """Wait for the first request; only then can a call be refused.

        A caller whose request cannot be delivered any more is told of that by gRPC, and not why.
        """
        within_s = self._ingestion.config.open_within_s
        try:
            async with asyncio.timeout(within_s):
                return await anext(requests)
        except StopAsyncIteration:
            raise ProtocolBroken(
                "no_open", "there was no request; the first must hold `open`"
            ) from None
        except TimeoutError:
            raise ProtocolBroken("no_open", f"no request came within {within_s:g} s") from None

    def _open_call(self, first: api.StreamRequest) -> Call:
        want: SessionSpec | Sequence[Claim]
        match first.WhichOneof("request"):
            case "open":
                want, audio = spec_from_proto(first.open.spec), first.open.format
            case "resume":
                want, audio = claims_from_proto(first.resume), first.resume.format
            case _:
                raise ProtocolBroken(
                    "no_open", "the first request of a stream must hold `open` or `resume`"
                )
        return Call(
            self._ingestion,
            want,
            format_from_proto(audio),
            face="grpc",
            split_channels=splits_channels(audio.layout),
        )

    async def _spool(self, requests: AsyncIterator[api.RunTaskRequest], file: IO[bytes]) -> None:
        """Write the upload to the file."""
        limit_bytes = self._ingestion.config.max_task_bytes
        size_bytes = 0
        async for request in requests:
            if request.WhichOneof("request") != "data":
                raise ProtocolBroken("second_open", "after `open`, a task's requests hold `data`")
            size_bytes += len(request.data)
            if size_bytes > limit_bytes:
                raise BadRequest(
                    "file_too_large", f"a task's file may have {limit_bytes} bytes; split it up"
                )
            await asyncio.to_thread(file.write, request.data)
        await asyncio.to_thread(file.flush)


@asynccontextmanager
async def run_grpc(ingestion: IngestionService) -> AsyncIterator[int]:
    """Serve until the context is left, which waits for callers to read their last events.

    Yields the port, for a configured port of 0. OSError when it is taken.
    """
    config = ingestion.config
    server = grpc.aio.server(options=_options(config))
    servicer = InteractionServicer(ingestion)
    rpc.add_InteractionServiceServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    checks = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    service = api.DESCRIPTOR.services_by_name["InteractionService"].full_name
    reflection.enable_server_reflection(
        (service, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )
    try:
        port = server.add_insecure_port(f"{config.host}:{config.grpc_port}")
    except RuntimeError as error:  # which is how gRPC says it
        raise OSError(f"cannot listen on {config.host}:{config.grpc_port}: {error}") from error
    await server.start()
    for name in ("", service):
        await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield port
    finally:
        await checks.enter_graceful_shutdown()
        await server.stop(config.read_grace_s)


async def _listen(call: Call, requests: AsyncIterator[api.StreamRequest], context: Context) -> None:
    async for request in requests:
        match request.WhichOneof("request"):
            case "audio":
                await answer_faults(call, _push(call, request.audio))
            case "instruction":
                await answer_faults(call, call.instruct(request.instruction))
            case "cancel_turn":
                await answer_faults(call, call.cancel(request.cancel_turn))
            case "open" | "resume":
                raise ProtocolBroken(
                    "second_open", "the session is open; call again for another one"
                )
            case _:
                raise ProtocolBroken("unknown_type", "a request is empty, or of a later version")
    # A broken connection also ends the requests, and may be known as such a moment later.
    await asyncio.sleep(BROKEN_WITHIN_S)
    if context.done():
        raise CallerGone
    await answer_faults(call, call.finish())


async def _push(call: Call, audio: api.AudioData) -> None:
    timestamp_ms = audio.timestamp_ms if audio.HasField("timestamp_ms") else None
    await call.push(audio.data, timestamp_ms)


def _status(error: SoundFlowError) -> grpc.StatusCode:
    statuses = (status for kind, status in _STATUS.items() if isinstance(error, kind))
    return next(statuses, grpc.StatusCode.INTERNAL)


def _task_response(item: CallerEvent | Progress) -> api.RunTaskResponse:
    if isinstance(item, CallerEvent):
        return api.RunTaskResponse(event=event_to_proto(item))
    progress = api.TaskProgress(done_ms=item.done_ms, total_ms=item.total_ms)
    return api.RunTaskResponse(progress=progress)


def _options(config: IngestionConfig) -> list[tuple[str, int]]:
    """Return gRPC's settings: a silent caller is pinged, and dropped when it does not answer."""
    interval_ms = round(config.ping_interval_s * 1000)
    return [
        ("grpc.max_receive_message_length", config.max_message_bytes + ENVELOPE_BYTES),
        ("grpc.keepalive_time_ms", interval_ms),
        ("grpc.keepalive_timeout_ms", interval_ms),
        ("grpc.http2.ping_timeout_ms", interval_ms),  # else a minute, whatever the line above says
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),  # no limit
        ("grpc.so_reuseport", 0),  # a port that is taken is an error, not a second server
    ]
