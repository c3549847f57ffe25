"""The receiving end of delivery, on each ingestion replica."""
# ruff: noqa: N802 - protobuf gives the calls their names

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import grpc

from services.core import metrics
from services.core.errors import BadRequest
from services.core.generated.soundflow.v1 import delivery_service_pb2 as pb
from services.core.generated.soundflow.v1 import delivery_service_pb2_grpc as rpc
from services.core.wire import MAX_MESSAGE_BYTES
from services.core.wire_events import event_from_proto
from services.transport.port import Delivered

log = logging.getLogger(__name__)

_OPTIONS = [
    ("grpc.max_receive_message_length", 16 * MAX_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),  # a port that is taken is an error, not a second server
]
_STOP_WITHIN_S = 1.0

Context = grpc.aio.ServicerContext[Any, Any]


class Callers(Protocol):
    """The callers of this replica."""

    def holds(self, session_id: str) -> bool:
        """Tell whether a session's caller is here."""
        ...

    async def deliver(self, events: Sequence[Delivered]) -> None:
        """Hand events to their callers."""
        ...

    async def let_go(self, session_id: str, epoch: int) -> None:
        """Give up a session that was taken over with this epoch."""
        ...


class DeliveryServer:
    """Listens from the start, so that its port is known; answers once it knows the callers."""

    def __init__(self, host: str, port: int) -> None:
        self._server = grpc.aio.server(options=_OPTIONS)
        try:
            self.port = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:  # which is how gRPC says it
            raise OSError(f"cannot listen on {host}:{port}: {error}") from error

    @asynccontextmanager
    async def serving(self, callers: Callers) -> AsyncIterator[None]:
        """Serve until the context is left."""
        servicer = _DeliveryServicer(callers)
        rpc.add_DeliveryServiceServicer_to_server(servicer, self._server)  # type: ignore[no-untyped-call]
        await self._server.start()
        try:
            yield
        finally:
            await self._server.stop(_STOP_WITHIN_S)


class _DeliveryServicer(rpc.DeliveryServiceServicer):
    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    async def Deliver(self, request: pb.DeliverRequest, context: Context) -> pb.DeliverResponse:
        """Hand events over, and say whose callers are not here."""
        unknown: dict[str, None] = {}
        events = []
        for proto in request.events:
            if not self._callers.holds(proto.session_id):
                unknown[proto.session_id] = None
                continue
            try:
                events.append(Delivered(event_from_proto(proto), proto.previous_id))
            except BadRequest:  # of a version that this one does not understand
                metrics.MESSAGES_REJECTED.labels("ingestion").inc()
                log.exception("an event of session %s cannot be read", proto.session_id)
        await self._callers.deliver(events)
        return pb.DeliverResponse(unknown_session_ids=unknown)

    async def LetGo(self, request: pb.LetGoRequest, context: Context) -> pb.LetGoResponse:
        """Give a session up."""
        await self._callers.let_go(request.session_id, request.epoch)
        return pb.LetGoResponse()
