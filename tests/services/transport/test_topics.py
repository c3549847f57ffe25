"""What every transport promises (services/transport/port.py), over each that there is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from prometheus_client import REGISTRY

from services.core import wire
from services.core.lanes import Lanes
from services.core.messages import SessionMessage
from services.transport.memory import MemoryTopic
from services.transport.port import Received, Topic
from tests.services.transport.kafka.cluster import fresh_config, said, text_of
from tests.waiting import DEADLINE_S, until

CAPACITY = 8
GROUPS = ("first", "second")
MEMBERS = 2  # of each group


class KafkaMembers:
    """A topic on Kafka as its sender and the members of all groups see it together."""

    def __init__(self, sender: Topic[SessionMessage]) -> None:
        self._sender = sender
        self.members: dict[str, list[Topic[SessionMessage]]] = {group: [] for group in GROUPS}

    async def send(self, message: SessionMessage) -> int:
        return await self._sender.send(message)

    def subscribe(self, group: str) -> AsyncIterator[Received[SessionMessage]]:
        """Take part as the next member of the group that runs."""
        return self.members[group].pop().subscribe(group)


@asynccontextmanager
async def on_kafka(brokers: str, members: int) -> AsyncIterator[Topic[SessionMessage]]:
    from services.transport.kafka import KafkaTransport

    config = fresh_config(brokers)
    async with AsyncExitStack() as running:
        sender = KafkaTransport(config, "sender")
        await running.enter_async_context(sender.running())
        topic = KafkaMembers(sender.topic(wire.SESSIONS))
        for group in GROUPS:
            for _ in range(members):
                member = KafkaTransport(config, group, [wire.SESSIONS])
                await running.enter_async_context(member.running())
                topic.members[group].append(member.topic(wire.SESSIONS))
        yield topic


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def topic(request: pytest.FixtureRequest) -> AsyncIterator[Topic[SessionMessage]]:
    if request.param == "memory":
        yield MemoryTopic(groups=GROUPS, capacity=CAPACITY)
        return
    members = MEMBERS if "members" in request.node.name else 1
    async with on_kafka(request.getfixturevalue("kafka").brokers, members) as topic:
        yield topic


async def take(messages: AsyncIterator[Received[SessionMessage]], count: int) -> list[str]:
    """Receive and acknowledge so many messages."""
    taken = []
    async with asyncio.timeout(DEADLINE_S):
        for _ in range(count):
            received = await anext(messages)
            received.done()
            taken.append(text_of(received.message))
    return taken


async def test_messages_of_a_session_arrive_in_order_and_once(
    topic: Topic[SessionMessage],
) -> None:
    sent = [f"message {number}" for number in range(CAPACITY)]
    for text in sent:
        await topic.send(said("s", text))
    assert await take(topic.subscribe("first"), CAPACITY) == sent


async def test_positions_start_above_0_and_grow_within_a_session(
    topic: Topic[SessionMessage],
) -> None:
    positions = [await topic.send(said("s", str(number))) for number in range(5)]
    assert positions[0] >= 1
    assert positions == sorted(set(positions))


async def test_what_was_sent_before_anyone_listened_is_kept(topic: Topic[SessionMessage]) -> None:
    await topic.send(said("s", "early"))
    assert await take(topic.subscribe("second"), 1) == ["early"]


async def test_every_group_sees_every_message(topic: Topic[SessionMessage]) -> None:
    for text in ("a", "b"):
        await topic.send(said("s", text))
    for group in GROUPS:
        assert await take(topic.subscribe(group), 2) == ["a", "b"]


async def test_members_of_one_group_share_the_messages(topic: Topic[SessionMessage]) -> None:
    taken: list[str] = []

    async def follow(messages: AsyncIterator[Received[SessionMessage]]) -> None:
        async for received in messages:
            received.done()
            taken.append(text_of(received.message))

    sent = [f"message {number}" for number in range(CAPACITY)]
    following = [asyncio.create_task(follow(topic.subscribe("first"))) for _ in range(MEMBERS)]
    for text in sent:
        await topic.send(said(f"session of {text}", text))
    await until(lambda: len(taken) == len(sent))
    for task in following:
        task.cancel()
    assert sorted(taken) == sorted(sent)


async def test_a_rejected_message_is_given_up_and_the_next_one_comes(
    topic: Topic[SessionMessage],
) -> None:
    for text in ("bad", "good"):
        await topic.send(said("s", text))
    messages = topic.subscribe("first")
    async with asyncio.timeout(DEADLINE_S):
        (await anext(messages)).reject(ValueError("it is bad"))
    assert await take(messages, 1) == ["good"]


async def test_a_message_that_a_service_gives_up_is_counted_once(
    topic: Topic[SessionMessage],
) -> None:
    before = rejections()

    async def fail(_: Received[SessionMessage]) -> None:
        raise ValueError("it is bad")

    async def give_up(_session_id: str, _why: Exception) -> None:
        pass

    await topic.send(said("s", "bad"))
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        lanes = Lanes[Received[SessionMessage]](GROUPS[0], group, fail, give_up)
        await lanes.put("s", await anext(topic.subscribe(GROUPS[0])))
    await until(lambda: rejections() > before)
    assert rejections() == before + 1


def rejections() -> float:
    labels = {"service": GROUPS[0]}
    return REGISTRY.get_sample_value("soundflow_messages_rejected_total", labels) or 0.0


async def test_sending_waits_while_a_group_is_behind_in_one_process() -> None:
    topic: MemoryTopic[SessionMessage] = MemoryTopic(groups=GROUPS, capacity=CAPACITY)

    async def send_all() -> None:
        for number in range(3 * CAPACITY):
            await topic.send(said("s", str(number)))

    fast, slow = (topic.subscribe(group) for group in GROUPS)
    sending = asyncio.create_task(send_all())
    assert await take(fast, CAPACITY) == [str(number) for number in range(CAPACITY)]
    done, _ = await asyncio.wait({sending}, timeout=0.05)
    assert not done  # the slow group has read nothing
    await take(slow, 2 * CAPACITY)
    await take(fast, CAPACITY)
    await asyncio.wait_for(sending, DEADLINE_S)
