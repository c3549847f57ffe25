"""What one session's caller is told: kept in the record first, then handed over."""

import asyncio
import dataclasses
from dataclasses import dataclass, field

from services.core.events import CallerEvent, Event
from services.transport.port import Delivered, Delivery, Topic


@dataclass(slots=True)
class Telling:
    """One order for all of a session's events, in the record and on the way to the caller.

    Recorded first: what a caller has seen, any replica can find and go on from.
    """

    session_id: str
    responses: Topic[CallerEvent]
    delivery: Delivery
    _previous: int = 0
    _order: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def tell(self, event: Event) -> None:
        """Record an event and deliver it. Unavailable when it could not be recorded."""
        told = CallerEvent(self.session_id, event)
        async with self._order:
            # One that fails may be recorded all the same: then what comes next must not hide it.
            previous, self._previous = self._previous, 0
            told = dataclasses.replace(told, id=await self.responses.send(told))
            await self.delivery.deliver([Delivered(told, previous)])
            self._previous = told.id
