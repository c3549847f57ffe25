"""What waits between a connection and its call."""

import asyncio

from aiohttp import WSMessage, WSMsgType

from services.ingestion.inbox import Inbox
from tests.waiting import DEADLINE_S


def message(data: bytes) -> WSMessage:
    return WSMessage(WSMsgType.BINARY, data, None)


async def test_messages_come_out_as_they_went_in() -> None:
    inbox = Inbox(limit_bytes=10_000)
    for data in (b"a", b"", b"b"):
        await inbox.put(message(data))
    assert [(await inbox.get()).data for _ in range(3)] == [b"a", b"", b"b"]


async def test_reading_waits_for_a_call_that_is_behind() -> None:
    inbox = Inbox(limit_bytes=10_000)
    await inbox.put(message(bytes(9_000)))
    await inbox.put(message(bytes(9_000)))  # there was room when it came
    waiting = asyncio.create_task(inbox.put(message(b"more")))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await inbox.get()
    await asyncio.wait_for(waiting, DEADLINE_S)


async def test_reading_waits_also_where_messages_are_empty() -> None:
    inbox = Inbox(limit_bytes=10_000)

    async def put_for_ever() -> None:
        while True:
            await inbox.put(message(b""))
            await asyncio.sleep(0)

    flooding = asyncio.create_task(put_for_ever())
    await asyncio.sleep(0.1)
    assert len(inbox._messages) < 100
    flooding.cancel()
