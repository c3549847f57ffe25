"""What a topic keeps, and how a session's part of it is read, over each transport."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from services.core import wire
from services.core.clock import unix_us
from services.core.messages import SessionMessage
from services.transport.memory import MemoryTopic
from services.transport.port import History, Topic
from tests.services.transport.kafka.cluster import fresh_config, said, text_of

HOUR_US = 3_600_000_000


class Keeping(Topic[SessionMessage], History[SessionMessage], Protocol):
    """A topic that is read back."""


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def topic(request: pytest.FixtureRequest) -> AsyncIterator[Keeping]:
    if request.param == "memory":
        yield MemoryTopic(kept=1000)
        return
    from services.transport.kafka import KafkaTransport

    transport = KafkaTransport(fresh_config(request.getfixturevalue("kafka").brokers), "reader")
    async with transport.running():
        yield transport.topic(wire.SESSIONS)


async def read(topic: Keeping, session_id: str, since_unix_us: int = 0) -> list[tuple[int, str]]:
    kept = topic.read(session_id, since_unix_us)
    return [(each.position, text_of(each.message)) async for each in kept]


async def test_a_session_is_read_alone_in_order_with_the_positions_it_was_sent_at(
    topic: Keeping,
) -> None:
    expected = []
    for number in range(20):
        expected.append((await topic.send(said("mine", str(number))), str(number)))
        for other in range(8):  # some of them share the session's partition
            await topic.send(said(f"other-{other}", "no"))
    assert await read(topic, "mine") == expected


async def test_nothing_is_kept_of_a_session_that_said_nothing(topic: Keeping) -> None:
    assert await read(topic, "mine") == []
    await topic.send(said("other", "no"))
    assert await read(topic, "mine") == []


async def test_reading_ends_where_the_topic_ended_when_it_began(topic: Keeping) -> None:
    await topic.send(said("mine", "before"))
    seen = []
    async for kept in topic.read("mine", 0):
        seen.append(text_of(kept.message))
        await topic.send(said("mine", "after"))
    assert seen == ["before"]
    assert [text for _, text in await read(topic, "mine")] == ["before", "after"]


async def test_what_was_sent_long_before_is_left_out_and_what_came_since_is_not(
    topic: Keeping,
) -> None:
    await topic.send(said("mine", "now"))
    now = unix_us()
    assert [text for _, text in await read(topic, "mine", now - HOUR_US)] == ["now"]
    assert await read(topic, "mine", now + HOUR_US) == []


async def test_many_reads_at_once_do_not_mix(topic: Keeping) -> None:
    for number in range(12):
        await topic.send(said(f"s-{number}", f"of {number}"))
    found = await asyncio.gather(*(read(topic, f"s-{number}") for number in range(12)))
    assert [[text for _, text in each] for each in found] == [[f"of {n}"] for n in range(12)]
