"""Chunks to features, in order, each session with what it carries."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest

from services.core.messages import (
    GIVEN_UP,
    AudioMessage,
    Closed,
    FeaturesMessage,
    SessionMessage,
)
from services.perception.service import PerceptionService
from services.state.carried import Carried, MemoryCarriedStates
from services.transport.memory import MemoryTopic
from soundflow.audio import CHUNK_SAMPLES, Chunk
from soundflow.encoder import StateMisfit
from soundflow.features import Features
from tests.waiting import DEADLINE_S, until


class CountingEncoder:
    """Counts the chunks of each session; fails on one that is loud."""

    def initial(self) -> bytes:
        return b"0"

    async def encode(self, chunk: Chunk, state: bytes) -> tuple[Features, bytes]:
        await asyncio.sleep(0)
        if chunk.pcm.any():
            raise ValueError("too loud")
        if not state.isdigit():
            raise StateMisfit(f"{state!r} is no count")
        heard = int(state)
        features = Features(chunk.session_id, chunk.index, {"heard": np.array(heard)}, chunk.last)
        return features, str(heard + 1).encode()


@dataclass
class Rig:
    service: PerceptionService
    carried: MemoryCarriedStates
    audio: MemoryTopic[AudioMessage]
    sessions: MemoryTopic[SessionMessage]
    features: MemoryTopic[FeaturesMessage]

    async def send(self, session_id: str, index: int, *, loud: bool = False) -> None:
        pcm = np.full(CHUNK_SAMPLES, 0.5 if loud else 0.0, np.float32)
        await self.audio.send(AudioMessage(Chunk(session_id, index, pcm), 1000 + index))

    async def receive(self, count: int) -> list[FeaturesMessage]:
        messages = self.features.subscribe("test")
        async with asyncio.timeout(DEADLINE_S):
            return [(await anext(messages)).message for _ in range(count)]

    async def announced(self) -> SessionMessage:
        messages = self.sessions.subscribe("test")
        return (await asyncio.wait_for(anext(messages), DEADLINE_S)).message


@asynccontextmanager
async def running(carried: MemoryCarriedStates | None = None) -> AsyncIterator[Rig]:
    audio = MemoryTopic[AudioMessage](groups=["perception"])
    sessions = MemoryTopic[SessionMessage](groups=["perception", "test"])
    features = MemoryTopic[FeaturesMessage](groups=["test"])
    carried = MemoryCarriedStates() if carried is None else carried
    service = PerceptionService(audio, sessions, features, CountingEncoder(), carried)
    task = asyncio.create_task(service.run())
    try:
        yield Rig(service, carried, audio, sessions, features)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running() as rig:
        yield rig


async def test_chunks_are_encoded_in_order_with_what_their_session_carries(rig: Rig) -> None:
    for index in range(3):
        for name in "ab":
            await rig.send(name, index)
    messages = await rig.receive(6)
    for name in "ab":
        own = [message for message in messages if message.session_id == name]
        assert [message.features.index for message in own] == [0, 1, 2]
        assert [int(message.features.tensors["heard"]) for message in own] == [0, 1, 2]
        assert [message.captured_unix_us for message in own] == [1000, 1001, 1002]


async def test_a_repeated_chunk_changes_nothing(rig: Rig) -> None:
    for index in (0, 0, 1, 0, 1, 2):
        await rig.send("a", index)
    messages = await rig.receive(3)
    assert [int(message.features.tensors["heard"]) for message in messages] == [0, 1, 2]


async def test_a_session_that_is_closed_is_forgotten_and_stays_so(rig: Rig) -> None:
    await rig.send("a", 0)
    await rig.receive(1)
    await rig.sessions.send(SessionMessage("a", 0, Closed("idle")))
    await until(lambda: not len(rig.carried))
    await rig.send("a", 1)  # was on its way
    await rig.send("b", 0)
    assert [message.session_id for message in await rig.receive(1)] == ["b"]
    await until(lambda: rig.carried.get("b") is not None)
    assert len(rig.carried) == 1


async def test_a_session_that_closes_before_its_first_chunk_is_heard_leaves_nothing(
    rig: Rig,
) -> None:
    await rig.sessions.send(SessionMessage("a", 0, Closed("idle")))
    await until(lambda: "a" in rig.service._closed)
    await rig.send("a", 0)
    await rig.send("b", 0)
    assert [message.session_id for message in await rig.receive(1)] == ["b"]
    assert rig.carried.get("a") is None


async def test_another_replica_goes_on_with_what_was_carried() -> None:
    carried = MemoryCarriedStates()
    async with running(carried) as first:
        await first.send("a", 0)
        await first.receive(1)
        await until(lambda: len(carried) == 1)
    async with running(carried) as second:
        await second.send("a", 0)  # was not acknowledged
        await second.send("a", 1)
        (message,) = await second.receive(1)
    assert message.features.index == 1
    assert int(message.features.tensors["heard"]) == 1


async def test_a_state_that_a_new_version_cannot_read_begins_anew() -> None:
    carried = MemoryCarriedStates()
    carried.put("a", Carried(b"an older version's", 5))
    async with running(carried) as rig:
        for index in (5, 6):
            await rig.send("a", index)
        messages = await rig.receive(2)
    assert [message.features.index for message in messages] == [5, 6]
    assert [int(message.features.tensors["heard"]) for message in messages] == [0, 1]


async def test_a_chunk_whose_predecessor_never_came_ends_its_session(rig: Rig) -> None:
    await rig.send("a", 0)
    await rig.receive(1)
    await rig.send("a", 2)
    announced = await rig.announced()
    assert (announced.session_id, announced.change) == ("a", GIVEN_UP)


async def test_a_chunk_that_cannot_be_encoded_ends_its_session_alone(rig: Rig) -> None:
    await rig.send("a", 0)
    await rig.send("a", 1, loud=True)
    await rig.send("a", 2)
    await rig.send("b", 0)
    assert {message.session_id for message in await rig.receive(2)} == {"a", "b"}
    announced = await rig.announced()
    assert (announced.session_id, announced.change) == ("a", GIVEN_UP)
    await until(lambda: rig.carried.get("a") is None)
    assert rig.carried.get("b") is not None


async def test_a_session_that_was_never_opened_is_given_up_and_forgotten(rig: Rig) -> None:
    await rig.send("never-opened", 0)
    await rig.send("going-on", 0)
    await rig.receive(2)
    await until(lambda: len(rig.carried) == 2)
    await rig.service.give_up_idle(idle_s=60)
    await asyncio.sleep(0.05)
    await rig.send("going-on", 1)
    await rig.receive(1)
    await rig.service.give_up_idle(idle_s=0.04)
    announced = await rig.announced()
    assert (announced.session_id, announced.change) == ("never-opened", GIVEN_UP)
    await until(lambda: rig.carried.sessions() == ["going-on"])


async def test_what_was_taken_over_has_its_time_from_then_on() -> None:
    carried = MemoryCarriedStates()
    carried.put("a", Carried(b"7", 7))
    async with running(carried) as rig:
        await rig.service.give_up_idle(idle_s=0)
        assert rig.sessions._queues["test"].empty()
        await asyncio.sleep(0.01)
        await rig.service.give_up_idle(idle_s=0.005)
        assert (await rig.announced()).session_id == "a"
        await until(lambda: not len(carried))
        assert not rig.service._touched_s
