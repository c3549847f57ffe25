"""What every transport promises (services/transport/port.py), over each that there is."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from services.transport.memory import MemoryTopic
from services.transport.port import Received, Topic
from tests.waiting import DEADLINE_S

CAPACITY = 8
GROUPS = ("first", "second")

MakeTopic = Callable[[], Topic[str]]


@pytest.fixture(params=["memory"])
def topic(request: pytest.FixtureRequest) -> Topic[str]:
    make: dict[str, MakeTopic] = {"memory": lambda: MemoryTopic(groups=GROUPS, capacity=CAPACITY)}
    return make[request.param]()


async def take(messages: AsyncIterator[Received[str]], count: int) -> list[str]:
    """Receive and acknowledge so many messages."""
    taken = []
    async with asyncio.timeout(DEADLINE_S):
        for _ in range(count):
            received = await anext(messages)
            received.done()
            taken.append(received.message)
    return taken


async def test_messages_arrive_in_order_and_once(topic: Topic[str]) -> None:
    sent = [f"message {number}" for number in range(CAPACITY)]
    for message in sent:
        await topic.send(message)
    assert await take(topic.subscribe("first"), CAPACITY) == sent


async def test_what_was_sent_before_anyone_listened_is_kept(topic: Topic[str]) -> None:
    await topic.send("early")
    assert await take(topic.subscribe("second"), 1) == ["early"]


async def test_every_group_sees_every_message(topic: Topic[str]) -> None:
    for message in ("a", "b"):
        await topic.send(message)
    for group in GROUPS:
        assert await take(topic.subscribe(group), 2) == ["a", "b"]


async def test_members_of_one_group_share_the_messages(topic: Topic[str]) -> None:
    members = [topic.subscribe("first"), topic.subscribe("first")]
    waiting = [asyncio.create_task(take(member, 1)) for member in members]
    for message in ("a", "b"):
        await topic.send(message)
    taken = await asyncio.gather(*waiting)
    assert sorted(message for messages in taken for message in messages) == ["a", "b"]


async def test_sending_waits_while_a_group_is_behind(topic: Topic[str]) -> None:
    async def send_all() -> None:
        for number in range(3 * CAPACITY):
            await topic.send(str(number))

    fast, slow = (topic.subscribe(group) for group in GROUPS)
    sending = asyncio.create_task(send_all())
    assert await take(fast, CAPACITY) == [str(number) for number in range(CAPACITY)]
    done, _ = await asyncio.wait({sending}, timeout=0.05)
    assert not done  # the slow group has read nothing
    await take(slow, 2 * CAPACITY)
    await take(fast, CAPACITY)
    await asyncio.wait_for(sending, DEADLINE_S)
