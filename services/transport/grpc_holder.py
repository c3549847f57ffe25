"""One ingestion replica, as those who deliver to it see it."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import grpc
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from services.core import metrics
from services.core.errors import Unavailable
from services.core.generated.soundflow.v1 import delivery_service_pb2 as pb
from services.core.generated.soundflow.v1 import delivery_service_pb2_grpc as rpc
from services.core.generated.soundflow.v1 import stream_pb2 as stream
from services.core.wire_events import event_to_proto
from services.transport.port import Delivered

WAITING_EVENTS = 64  # of one session: seconds of one that speaks
BATCH_EVENTS = 1000
CALL_TIMEOUT_S = 2.0
ATTEMPTS = 3
LET_GO_TIMEOUT_S = 1.0

_CHANNEL = [
    # A replica that is back is found at once, not when others have given up waiting for it.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
]


@dataclass(slots=True, eq=False)
class Route:
    """One session's way to its caller, and what waits there.

    address: of its holder; "" while that is looked for. failing_since_s: nobody takes its events
    since then, on the monotonic clock.
    """

    session_id: str
    address: str = ""
    looked_for: bool = False
    failing_since_s: float | None = None
    waiting: deque[Delivered] = field(default_factory=lambda: deque(maxlen=WAITING_EVENTS))

    @property
    def fruitless(self) -> bool:
        """A holder was asked and did not take the events."""
        return self.failing_since_s is not None

    def add(self, delivered: Delivered) -> int:
        """Append an event; return how many older ones were dropped for it."""
        dropped = len(self.waiting) == WAITING_EVENTS
        self.waiting.append(delivered)
        return int(dropped)

    def put_back(self, events: Sequence[Delivered]) -> int:
        """Put events before those that came since; return how many were dropped."""
        kept = (*events, *self.waiting)
        self.waiting.clear()
        self.waiting.extend(kept)
        return len(kept) - len(self.waiting)

    def take(self) -> list[Delivered]:
        """Take all that waits."""
        events = list(self.waiting)
        self.waiting.clear()
        return events

    def drop(self) -> int:
        """Give up what waits; return how many those are."""
        return len(self.take())


Batch = Mapping[Route, Sequence[Delivered]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch. unknown: the sessions that the replica does not hold."""

    unreachable: bool = False
    unknown: frozenset[str] = frozenset()

    def has(self, session_id: str) -> bool:
        """Tell whether the replica took the session's events."""
        return not self.unreachable and session_id not in self.unknown


class Holder:
    """Sends a replica what waits for it: one call at a time, all that came meanwhile in the next.

    handed_over: told of every batch. After one that could not be sent, the holder is at its end.
    """

    def __init__(
        self, address: str, handed_over: Callable[["Holder", Batch, Outcome], None]
    ) -> None:
        self.address = address
        self.busy = False
        self._handed_over = handed_over
        self._routes: dict[Route, None] = {}
        self._work = asyncio.Event()
        self._sending = asyncio.create_task(self._run(), name=f"delivery to {address}")

    def put(self, route: Route) -> None:
        """Send, in time, what waits on a route."""
        self._routes[route] = None
        self.busy = True
        self._work.set()

    def remove(self, route: Route) -> None:
        """Leave a route to others: its session is not here."""
        self._routes.pop(route, None)

    async def close(self) -> None:
        """Stop sending, and disconnect."""
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)

    async def _run(self) -> None:
        async with grpc.aio.insecure_channel(self.address, _CHANNEL) as channel:
            stub = rpc.DeliveryServiceStub(channel)  # type: ignore[no-untyped-call]
            reachable = True
            while reachable:
                await self._work.wait()
                self._work.clear()
                while self._routes and reachable:
                    reachable = await self._send(stub, self._batch())
                self.busy = False
        # Nothing is put here any more; what was until now goes the same way as that batch.
        rest = {route: route.take() for route in self._routes if route.waiting}
        self._handed_over(self, rest, Outcome(unreachable=True))

    def _batch(self) -> Batch:
        """Take what waits, of as many sessions as fit into a call."""
        batch: dict[Route, Sequence[Delivered]] = {}
        count = 0
        while self._routes and count < BATCH_EVENTS:
            route = next(iter(self._routes))
            del self._routes[route]
            if events := route.take():
                batch[route] = events
                count += len(events)
        return batch

    async def _send(self, stub: rpc.DeliveryServiceStub, batch: Batch) -> bool:
        events = [_to_proto(each) for events in batch.values() for each in events]
        if not events:
            return True
        request = pb.DeliverRequest(events=events)

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(grpc.aio.AioRpcError),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.05, max=0.5),
            reraise=True,
        )
        try:
            with metrics.DELIVERY_SECONDS.time():
                response: pb.DeliverResponse = await retrying(_deliver, stub, request)
        except grpc.aio.AioRpcError:
            self._handed_over(self, batch, Outcome(unreachable=True))
            return False
        unknown = frozenset(response.unknown_session_ids)
        taken = sum(
            len(events) for route, events in batch.items() if route.session_id not in unknown
        )
        metrics.EVENTS_DELIVERED.inc(taken)
        self._handed_over(self, batch, Outcome(unknown=unknown))
        return True


class GrpcHolders:
    """The Holders port: asks replicas by their address."""

    async def let_go(self, address: str, session_id: str, epoch: int) -> None:
        """Have a replica give up a session. Unavailable when it does not answer."""
        request = pb.LetGoRequest(session_id=session_id, epoch=epoch)
        async with grpc.aio.insecure_channel(address, _CHANNEL) as channel:
            stub = rpc.DeliveryServiceStub(channel)  # type: ignore[no-untyped-call]
            try:
                await stub.LetGo(request, timeout=LET_GO_TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                raise Unavailable(
                    "holder_unavailable", f"{address} does not answer: {error.details()}"
                ) from error


async def _deliver(stub: rpc.DeliveryServiceStub, request: pb.DeliverRequest) -> pb.DeliverResponse:
    response: pb.DeliverResponse = await stub.Deliver(request, timeout=CALL_TIMEOUT_S)
    return response


def _to_proto(delivered: Delivered) -> stream.ResponseEvent:
    proto = event_to_proto(delivered.told)
    proto.previous_id = delivered.previous
    return proto
