"""Features to decisions, around the real engine and the null model."""

import asyncio
import dataclasses
from collections.abc import Callable

from prometheus_client import REGISTRY

from services.core.errors import Unavailable
from services.core.messages import (
    GIVEN_UP,
    Closed,
    DecisionMessage,
    Instructed,
    Opened,
    TurnCancelled,
)
from services.state.memory import MemorySessionStore
from services.state.port import SessionRecord
from services.transport.memory import MemoryTopic
from soundflow.interaction import Action, SessionSpec
from tests.services.decision.rig import Rig, numbers, running
from tests.waiting import until


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
    await until(lambda: rig.replicas.at("one").cancelled == [1])


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


async def test_closing_a_session_that_is_not_known_here_any_more_frees_its_place(rig: Rig) -> None:
    await rig.keep_record("a")
    await rig.change("a", Opened(SessionSpec("listen")))
    await until(lambda: bool(rig.store._records["a"].decoder))
    rig.service.placement.forget_idle(idle_s=0)  # its caller says nothing for long
    assert not len(rig.service.placement)
    await rig.store.update("a", lambda old: dataclasses.replace(old, closed="idle"))
    await rig.change("a", Closed("idle"))
    await until(lambda: not rig.engine._sessions)


async def test_a_lost_chunk_ends_its_session_alone(rig: Rig) -> None:
    for name in "ab":
        await rig.keep_record(name)
    await rig.send("a", 1)
    assert (await rig.announced(GIVEN_UP)).session_id == "a"
    await rig.send("b", 0)
    await rig.decided_up_to("b", 0)


async def test_a_session_without_a_record_ends_alone(rig: Rig) -> None:
    await rig.send("nobody", 0)
    assert (await rig.announced(GIVEN_UP)).session_id == "nobody"


class AwayStore(MemorySessionStore):
    """A store that is away for a while: to all, or to those who write."""

    away = False
    gone = False
    asked = 0

    async def get(self, session_id: str) -> SessionRecord:
        self.asked += 1
        if self.gone:
            raise Unavailable("store_away", "for the test")
        return await super().get(session_id)

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


class SlowStore(MemorySessionStore):
    """A store that, once it is slow, takes long for one write."""

    def __init__(self) -> None:
        super().__init__()
        self.slow, self.go_on = False, asyncio.Event()

    async def update(
        self,
        session_id: str,
        change: Callable[[SessionRecord], SessionRecord],
        *,
        epoch: int | None = None,
    ) -> SessionRecord:
        if self.slow:
            self.slow = False
            await self.go_on.wait()
        return await super().update(session_id, change, epoch=epoch)


async def test_a_turn_that_is_not_written_yet_is_known_where_the_session_is_rebuilt() -> None:
    store = SlowStore()
    async with running(store=store) as rig:
        await rig.keep_record("a")
        turns = []
        for index in range(15):  # a turn begins with every fifth
            if index == 9:
                await until(lambda: bool(store._records["a"].open_turns))
                store.slow = True
            if index == 10:
                rig.replicas.at("one").lose()
            await rig.send("a", index)
            turns += [named for _, named in numbers(await rig.decided_up_to("a", index)) if named]
        assert turns == [[1], [2], [3]]
        store.go_on.set()
        await until(lambda: [turn.turn for turn in store._records["a"].open_turns] == [1, 2, 3])
        await until(lambda: not rig.service.placement._placed["a"].unwritten)


async def test_decisions_keep_their_order_while_a_lost_decoder_cannot_be_replaced() -> None:
    store = AwayStore()
    async with running(store=store) as rig:
        await rig.keep_record("a")
        await rig.send("a", 0)
        await rig.decided_up_to("a", 0)
        one, two = rig.replicas.replicas
        one.mute = True
        for index in range(1, 12):
            await rig.send("a", index)
        await until(lambda: one.heard[-1] == 11)
        store.gone, store.asked = True, 0
        one.lose()
        await until(lambda: store.asked > 5)
        store.gone = False
        await until(lambda: two.heard[-1:] == [11])
        decided = numbers(await rig.decided_up_to("a", 11))
    assert [index for index, _ in decided] == list(range(1, 12))
    assert [turns for _, turns in decided if turns] == [[1], [2]]


class BusyTopic(MemoryTopic[DecisionMessage]):
    """One that does not take a message at the first attempt."""

    attempts = 0

    async def send(self, message: DecisionMessage) -> int:
        self.attempts += 1
        if self.attempts == 1:
            raise Unavailable("topic_away", "for the test")
        return await super().send(message)


async def test_a_decision_counts_once_however_often_it_is_sent() -> None:
    def counted() -> dict[str, float]:
        names = ("decisions_total", "decision_seconds_count", "chunks_heard_total")
        labels = {"decisions_total": {"action": "silent", "version": "0"}}
        return {
            name: REGISTRY.get_sample_value(f"soundflow_{name}", labels.get(name)) or 0
            for name in names
        }

    decisions = BusyTopic(groups=["test"])
    async with running(decisions=decisions) as rig:
        await rig.keep_record("a")
        before = counted()
        await rig.send("a", 0)
        await rig.decided_up_to("a", 0)
        await until(lambda: not rig.service.placement._placed["a"].pending)
    assert decisions.attempts == 2
    assert counted() == {name: times + 1 for name, times in before.items()}
