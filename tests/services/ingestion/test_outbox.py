"""The queue towards one caller."""

import asyncio

from services.core.events import CallerEvent, CloseReason, ErrorEvent, Event, SessionClosed
from services.ingestion.outbox import Outbox
from tests.waiting import DEADLINE_S

CLOSED = SessionClosed(CloseReason.COMPLETE, 1, 0)


def note(code: str, session_id: str = "a") -> CallerEvent:
    return CallerEvent(session_id, ErrorEvent(code, ""))


def closed(session_id: str = "a") -> CallerEvent:
    return CallerEvent(session_id, CLOSED)


async def read(outbox: Outbox) -> list[Event]:
    async with asyncio.timeout(DEADLINE_S):
        return [told.event async for told in outbox]


async def test_events_are_read_in_order_up_to_the_close() -> None:
    outbox = Outbox(capacity=10, sessions=1)
    reading = asyncio.create_task(read(outbox))
    for told in (note("one"), note("two"), closed()):
        outbox.put(told)
        await asyncio.sleep(0)
    assert await reading == [ErrorEvent("one", ""), ErrorEvent("two", ""), CLOSED]


async def test_two_sessions_share_one_until_both_are_closed() -> None:
    outbox = Outbox(capacity=10, sessions=2)
    for told in (closed("a"), note("late", "b"), closed("b")):
        outbox.put(told)
    assert await read(outbox) == [CLOSED, ErrorEvent("late", ""), CLOSED]


async def test_it_is_full_at_its_capacity_and_not_before() -> None:
    outbox = Outbox(capacity=2, sessions=1)
    outbox.put(note("one"))
    assert not outbox.full
    outbox.put(note("two"))
    assert outbox.full


async def test_dropping_the_unread_keeps_the_closes_that_end_the_reading() -> None:
    outbox = Outbox(capacity=3, sessions=2)
    for told in (note("one"), closed("a"), note("two", "b")):
        outbox.put(told)
    outbox.drop_unread()
    assert not outbox.full
    outbox.put(closed("b"))
    assert await read(outbox) == [CLOSED, CLOSED]
