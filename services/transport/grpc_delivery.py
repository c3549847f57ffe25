"""Delivery over gRPC: each event to the ingestion replica that holds its caller.

Nobody waits for it. What a caller does not get by it is in the record of responses, and ingestion
reads it there: so what cannot be handed over soon is dropped.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from services.core import metrics
from services.core.errors import SessionUnknown, Unavailable
from services.core.events import SessionClosed
from services.state.port import SessionStore
from services.transport.grpc_holder import Batch, Holder, Outcome, Route
from services.transport.port import Delivered

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 1.0
# For so long a caller's next replica is waited for: longer than it may take to be back.
GIVE_UP_S = 60.0
# Routes that are kept; one that is forgotten is looked up again.
KEPT_ROUTES = 50_000
FLUSH_S = 1.0


@asynccontextmanager
async def run_delivery(store: SessionStore) -> AsyncIterator["GrpcDelivery"]:
    """Deliver until the context is left; what is on its way then gets a moment to arrive."""
    delivery = GrpcDelivery(store)
    try:
        yield delivery
    finally:
        await delivery.close()


class GrpcDelivery:
    """Finds each session's holder by its record, and hands it all that waits, at once.

    give_up_s: after so long without a holder, a session's events are dropped.
    """

    def __init__(
        self,
        store: SessionStore,
        *,
        look_again_s: float = LOOK_AGAIN_S,
        give_up_s: float = GIVE_UP_S,
    ) -> None:
        self._store = store
        self._look_again_s = look_again_s
        self._give_up_s = give_up_s
        self._routes: OrderedDict[str, Route] = OrderedDict()
        self._holders: dict[str, Holder] = {}
        self._looking: set[asyncio.Task[None]] = set()

    async def deliver(self, events: Sequence[Delivered]) -> None:
        """Queue events for their callers; the oldest of a session make place for the newest."""
        for delivered in events:
            route = self._route(delivered.told.session_id)
            metrics.EVENTS_UNDELIVERED.inc(route.add(delivered))
            if route.address:
                self._holder(route.address).put(route)
            elif not route.looked_for:
                self._look(route)

    async def close(self) -> None:
        """Hand over what is left, for a moment, and disconnect."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                while self._busy:  # noqa: ASYNC110 - at a process's end only
                    await asyncio.sleep(0.01)
        for task in self._looking:
            task.cancel()
        await asyncio.gather(*self._looking, return_exceptions=True)
        for holder in list(self._holders.values()):
            await holder.close()

    @property
    def _busy(self) -> bool:
        return bool(self._looking) or any(holder.busy for holder in self._holders.values())

    def _route(self, session_id: str) -> Route:
        route = self._routes.get(session_id)
        if route is None:
            route = self._routes[session_id] = Route(session_id)
        self._routes.move_to_end(session_id)
        if len(self._routes) > KEPT_ROUTES:
            _, oldest = self._routes.popitem(last=False)
            metrics.EVENTS_UNDELIVERED.inc(oldest.drop())
        return route

    def _holder(self, address: str) -> Holder:
        if address not in self._holders:
            self._holders[address] = Holder(address, self._handed_over)
        return self._holders[address]

    def _look(self, route: Route, *, after_s: float = 0.0) -> None:
        """Find out, in the background, where the session's caller is."""
        route.address, route.looked_for = "", True
        task = asyncio.create_task(self._look_up(route, after_s))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def _look_up(self, route: Route, after_s: float) -> None:
        await asyncio.sleep(after_s)
        try:
            record = await self._store.get(route.session_id)
        except SessionUnknown:
            self._forget(route)
            return
        except Unavailable:
            self._try_later(route)
            return
        except Exception:
            log.exception("session %s: its events reach nobody", route.session_id)
            self._forget(route)
            return
        if not record.owner or (record.closed and route.fruitless):
            self._forget(route)
            return
        route.address, route.looked_for = record.owner, False
        if route.waiting:
            self._holder(route.address).put(route)

    def _handed_over(self, holder: Holder, batch: Batch, outcome: Outcome) -> None:
        """Take note of what became of a batch: by session, as the holder answered."""
        if outcome.unreachable and self._holders.get(holder.address) is holder:
            del self._holders[holder.address]
        for route, events in batch.items():
            if outcome.has(route.session_id):
                route.failing_since_s = None
                if isinstance(events[-1].told.event, SessionClosed):
                    self._forget(route)
                continue
            metrics.EVENTS_UNDELIVERED.inc(route.put_back(events))
            holder.remove(route)
            if outcome.unreachable or route.fruitless:
                self._try_later(route)
            else:  # most likely its caller is somewhere else by now
                route.failing_since_s = time.monotonic()
                self._look(route)

    def _try_later(self, route: Route) -> None:
        route.failing_since_s = route.failing_since_s or time.monotonic()
        if time.monotonic() - route.failing_since_s > self._give_up_s:
            self._forget(route)
        else:
            self._look(route, after_s=self._look_again_s)

    def _forget(self, route: Route) -> None:
        metrics.EVENTS_UNDELIVERED.inc(route.drop())
        if self._routes.get(route.session_id) is route:
            del self._routes[route.session_id]
