"""Features to decisions, around the real engine and the null model."""

import asyncio
import dataclasses
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from services.core.errors import Unavailable
from services.core.messages import (
    GIVEN_UP,
    NO_ROOM,
    Closed,
    DecisionMessage,
    FeaturesMessage,
    Instructed,
    Opened,
    SessionChange,
    SessionMessage,
    TurnCancelled,
)
from services.decision import placement
from services.decision.placement import Placement
from services.decision.service import DecisionService
from services.state.behind import WriteBehind
from services.state.memory import MemorySessionStore
from services.state.port import SessionRecord
from services.transport.memory import MemoryTopic
from soundflow.decoder import DecoderFull
from soundflow.engine import Engine
from soundflow.features import Features
from soundflow.interaction import Action, SessionSpec
from soundflow.null import NullState
from tests.services.decision.replicas import Replicas
from tests.waiting import DEADLINE_S, until


@dataclass
class Rig:
    service: DecisionService
    engine: Engine[NullState]
    store: MemorySessionStore
    features: MemoryTopic[FeaturesMessage]
    sessions: MemoryTopic[SessionMessage]
    decisions: MemoryTopic[DecisionMessage]
    replicas: Replicas

    async def keep_record(self, session_id: str) -> None:
        await self.store.create(SessionRecord(session_id, SessionSpec("listen"), 0))

    async def send(
        self, session_id: str, index: int, *, last: bool = False, version: int = 0
    ) -> None:
        level = {"level": np.zeros(1, np.float32)}
        features = Features(session_id, index, level, last, version)
        await self.features.send(FeaturesMessage(features, captured_unix_us=1000 + index))

    async def change(self, session_id: str, change: SessionChange) -> None:
        await self.sessions.send(SessionMessage(session_id, 0, change))

    async def decided_up_to(self, session_id: str, index: int) -> list[DecisionMessage]:
        messages: list[DecisionMessage] = []
        topic = self.decisions.subscribe("test")
        async with asyncio.timeout(DEADLINE_S):
            while not messages or messages[-1].decision.index < index:
                message = (await anext(topic)).message
                assert message.session_id == session_id
                messages.append(message)
        return messages

    async def announced(self, change: SessionChange) -> SessionMessage:
        async with asyncio.timeout(DEADLINE_S):
            async for received in self.sessions.subscribe("test"):
                if received.message.change == change:
                    return received.message
        raise AssertionError("a topic has no end")


@asynccontextmanager
async def running(
    *,
    features: MemoryTopic[FeaturesMessage] | None = None,
    store: MemorySessionStore | None = None,
    replicas: Replicas | None = None,  # whose engines run already
) -> AsyncIterator[Rig]:
    features = features or MemoryTopic[FeaturesMessage](groups=["decision"], kept=100)
    sessions = MemoryTopic[SessionMessage](groups=["decision", "test"])
    decisions = MemoryTopic[DecisionMessage](groups=["test"])
    store = store or MemorySessionStore()
    own = Replicas()
    engines = [] if replicas else [replica.engine for replica in own.replicas]
    replicas = replicas or own
    placement = Placement(store, replicas, features)
    service = DecisionService(features, sessions, decisions, WriteBehind(store), placement)
    engine = replicas.at("one").engine
    tasks = [asyncio.create_task(part.run()) for part in engines]
    tasks.append(asyncio.create_task(service.run()))
    try:
        yield Rig(service, engine, store, features, sessions, decisions, replicas)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running() as rig:
        yield rig


async def test_every_chunk_is_covered_by_decisions_in_order(rig: Rig) -> None:
    await rig.keep_record("a")
    await rig.change("a", Opened(SessionSpec("listen")))
    for index in range(8):
        await rig.send("a", index, last=index == 7)
    messages = await rig.decided_up_to("a", 7)
    indexes = [message.decision.index for message in messages]
    assert indexes == sorted(set(indexes))
    assert [message.last for message in messages] == [False] * (len(messages) - 1) + [True]
    assert Action.RESPOND in {message.decision.action for message in messages}
    for message in messages:  # latency counts from the newest chunk heard
        assert message.captured_unix_us == 1000 + message.decision.index
        assert message.decided_unix_us > message.captured_unix_us
    await until(lambda: rig.store._records["a"].last_index == 7)


async def test_a_chunk_that_overtakes_its_opening_opens_from_the_record(rig: Rig) -> None:
    await rig.keep_record("a")
    await rig.send("a", 0)
    await rig.decided_up_to("a", 0)
    await rig.change("a", Opened(SessionSpec("listen")))
    await rig.send("a", 1)
    assert (await rig.decided_up_to("a", 1))[-1].decision.index == 1


async def test_instructions_and_cancelling_reach_the_engine(rig: Rig) -> None:
    await rig.keep_record("a")
    await rig.change("a", Instructed("stop"))
    await rig.change("a", TurnCancelled(1))
    await until(lambda: "a" in rig.engine._sessions)
    await until(lambda: rig.engine._sessions["a"].state.instruction == "stop")


async def test_closing_forgets_the_session_and_what_comes_late_is_dropped(rig: Rig) -> None:
    await rig.keep_record("a")
    await rig.send("a", 0)
    await rig.decided_up_to("a", 0)
    await rig.store.update("a", lambda old: dataclasses.replace(old, closed="idle"))
    await rig.change("a", Closed("idle"))
    await until(lambda: not rig.engine._sessions and not len(rig.service.placement))
    await rig.send("a", 1)
    await rig.change("a", Instructed("too late"))
    await rig.change("a", TurnCancelled(1))
    await rig.keep_record("b")
    await rig.send("b", 0)
    await rig.decided_up_to("b", 0)  # no decision on a comes before it
    assert list(rig.engine._sessions) == ["b"]


async def test_a_lost_chunk_ends_its_session_alone(rig: Rig) -> None:
    for name in "ab":
        await rig.keep_record(name)
    await rig.send("a", 1)
    assert (await rig.announced(GIVEN_UP)).session_id == "a"
    await rig.send("b", 0)
    await rig.decided_up_to("b", 0)


def fill(replica: str, rig: Rig, monkeypatch: pytest.MonkeyPatch, times: float = math.inf) -> None:
    """Let a replica's decoder have no room so many times."""
    decoder = rig.replicas.at(replica).engine._decoder
    opened: Callable[..., NullState] = decoder.open
    left = times

    def open_if_there_is_room(*args: Any) -> NullState:
        nonlocal left
        left -= 1
        if left >= 0:
            raise DecoderFull("all places are taken")
        return opened(*args)

    monkeypatch.setattr(decoder, "open", open_if_there_is_room)
    monkeypatch.setattr(placement, "FULL_RETRY_S", 0.01)
    monkeypatch.setattr(placement, "FULL_FOR_S", 0.5)


async def test_a_session_waits_a_moment_for_one_that_is_about_to_end(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill("one", rig, monkeypatch, times=3)
    fill("two", rig, monkeypatch)
    await rig.keep_record("a")
    await rig.send("a", 0)
    await rig.decided_up_to("a", 0)
    assert list(rig.engine._sessions) == ["a"]


async def test_a_session_goes_to_another_decoder_where_its_own_is_full(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill("one", rig, monkeypatch)
    await rig.keep_record("a")
    await rig.send("a", 0)
    await rig.decided_up_to("a", 0)
    assert (await rig.store.get("a")).decoder == "two"


async def test_a_session_that_no_decoder_has_room_for_ends_alone(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.keep_record("b")
    await rig.send("b", 0)
    await rig.decided_up_to("b", 0)
    for replica in ("one", "two"):
        fill(replica, rig, monkeypatch)
    await rig.keep_record("a")
    await rig.send("a", 0)
    assert (await rig.announced(NO_ROOM)).session_id == "a"
    await rig.send("b", 1)
    await rig.decided_up_to("b", 1)


async def test_a_session_without_a_record_ends_alone(rig: Rig) -> None:
    await rig.send("nobody", 0)
    assert (await rig.announced(GIVEN_UP)).session_id == "nobody"


async def test_a_session_that_moved_away_is_forgotten_and_found_again(rig: Rig) -> None:
    await rig.keep_record("a")
    for index in range(5):
        await rig.send("a", index)
        await rig.decided_up_to("a", index)
    rig.service.placement.forget_idle(idle_s=60)
    assert len(rig.service.placement) == 1
    await until(lambda: not rig.service.placement._placed["a"].pending)
    rig.service.placement.forget_idle(idle_s=0)
    assert len(rig.service.placement) == 0
    await rig.send("a", 5)
    assert numbers(await rig.decided_up_to("a", 5)) == [(5, [])]


class AwayStore(MemorySessionStore):
    """A store that cannot be written for a while."""

    away = False

    async def update(
        self,
        session_id: str,
        change: Callable[[SessionRecord], SessionRecord],
        *,
        epoch: int | None = None,
    ) -> SessionRecord:
        if self.away:
            raise Unavailable("store_away", "for the test")
        return await super().update(session_id, change, epoch=epoch)


async def test_sessions_go_on_while_their_records_cannot_be_written() -> None:
    store = AwayStore()
    async with running(store=store) as rig:
        await rig.keep_record("a")
        await rig.send("a", 0)
        await rig.decided_up_to("a", 0)
        store.away = True
        for index in range(1, 11):  # turns open meanwhile
            await rig.send("a", index)
        opened = [turns for _, turns in numbers(await rig.decided_up_to("a", 10)) if turns]
        assert opened
        store.away = False
        await until(lambda: store._records["a"].last_index == 10)
        known = {turn.turn for turn in store._records["a"].open_turns}
        assert known == {turn for turns in opened for turn in turns}


def numbers(messages: list[DecisionMessage]) -> list[tuple[int, list[int]]]:
    """What was decided: the newest chunk, and the turns that it opened."""
    return [(m.decision.index, [start.turn for start in m.decision.turns]) for m in messages]


async def test_a_session_whose_decoder_is_lost_goes_on_on_another(rig: Rig) -> None:
    await rig.keep_record("a")
    one, two = rig.replicas.replicas
    before = []
    for index in range(7):  # the null model opens a turn after every fifth chunk
        await rig.send("a", index)
        before += await rig.decided_up_to("a", index)
    one.mute = True
    for index in (7, 8, 9):
        await rig.send("a", index)
    await until(lambda: one.heard[-1] == 9)
    one.lose()
    after = await rig.decided_up_to("a", 9)
    for index in range(10, 13):
        await rig.send("a", index)
    after += await rig.decided_up_to("a", 12)
    assert [turns for _, turns in numbers(before) if turns] == [[1]]
    assert [turns for _, turns in numbers(after) if turns] == [[2]]
    decided = [index for index, _ in numbers(before + after)]
    assert decided == sorted(set(decided))
    assert rig.store._records["a"].decoder == "two"
    assert two.heard[-1] == 12


async def test_a_decoder_that_forgot_a_session_is_given_what_it_needs_again(rig: Rig) -> None:
    await rig.keep_record("a")
    for index in range(3):
        await rig.send("a", index)
        await rig.decided_up_to("a", index)
    await rig.engine.close("a")
    await rig.send("a", 3)
    assert numbers(await rig.decided_up_to("a", 3)) == [(3, [])]
    assert rig.store._records["a"].decoder == "one"


async def test_a_session_changes_over_with_the_first_chunk_that_the_new_version_encoded(
    rig: Rig,
) -> None:
    await rig.keep_record("a")
    one, two = rig.replicas.replicas
    one.version, two.version = 1, 2
    decided = []
    for index in range(12):
        await rig.send("a", index, version=2 if index >= 7 else 1)
        decided += await rig.decided_up_to("a", index)
        await until(lambda: not rig.service.placement._placed["a"].pending)
    assert [(m.decision.index, m.model_version) for m in decided] == [
        (index, 2 if index >= 7 else 1) for index in range(12)
    ]
    [first], [second] = [turns for _, turns in numbers(decided) if turns]  # of chunks 4 and 9
    assert first < second
    assert rig.store._records["a"].decoder == "two"
    # What says the older version's turn is left alone.
    assert [piece.text async for piece in one.speak("a", 1)] == ["chunk 4", ""]


async def test_a_session_stays_where_it_is_until_all_that_was_heard_is_decided(rig: Rig) -> None:
    await rig.keep_record("a")
    one, two = rig.replicas.replicas
    one.version, two.version = 1, 2
    await rig.send("a", 0)
    await rig.decided_up_to("a", 0)
    one.mute = True
    for index in (1, 2):
        await rig.send("a", index, version=index)
    await until(lambda: one.heard == [0, 1, 2])
    assert rig.store._records["a"].decoder == "one"
    one.lose()  # as where the older version is taken away in the end
    after = await rig.decided_up_to("a", 2)
    assert [(m.decision.index, m.model_version) for m in after][-1] == (2, 2)


async def test_an_instruction_reaches_the_decoder_that_follows_a_lost_one(rig: Rig) -> None:
    await rig.keep_record("a")
    await rig.send("a", 0)
    await rig.decided_up_to("a", 0)
    one, two = rig.replicas.replicas
    one.lose()
    await rig.change("a", Instructed("count the dogs"))
    await until(lambda: "a" in two.engine._sessions)
    await until(lambda: two.engine._sessions["a"].state.instruction == "count the dogs")


async def test_another_replica_of_the_service_takes_over_without_a_gap_or_a_repeat() -> None:
    features = MemoryTopic[FeaturesMessage](groups=["decision"], kept=100)
    store, replicas = MemorySessionStore(), Replicas()
    stepping = asyncio.create_task(replicas.at("one").engine.run())
    async with running(features=features, store=store, replicas=replicas) as first:
        await first.keep_record("a")
        for index in range(6):
            await first.send("a", index)
            await first.decided_up_to("a", index)
        await until(lambda: store._records["a"].last_index == 5)
    async with running(features=features, store=store, replicas=replicas) as second:
        for index in (4, 5, 6, 7):  # two of them were not acknowledged
            await second.send("a", index)
        messages = await second.decided_up_to("a", 7)
    decided = [index for index, _ in numbers(messages)]
    assert decided == sorted(set(decided))
    assert [turns for index, turns in numbers(messages) if index > 4 and turns] == []
    stepping.cancel()
    await asyncio.gather(stepping, return_exceptions=True)
