"""Sessions that are built anew: whose decoder was lost, or that another replica took over."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from services.core.clock import unix_us
from services.core.messages import Closed, DecisionMessage, FeaturesMessage, Instructed
from services.decision import placement
from services.state.memory import MemorySessionStore
from services.transport.memory import MemoryTopic
from soundflow.engine_session import Heard
from soundflow.features import Features
from soundflow.interaction import Action, Decision
from tests.services.decision.replicas import Replica, Replicas
from tests.services.decision.rig import Rig, numbers, running
from tests.waiting import until


def hold_opening(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> tuple[asyncio.Event, asyncio.Event]:
    """Let a replica open a session only once the second event is set; the first: it was asked."""
    opening, go_on, opened = asyncio.Event(), asyncio.Event(), replica.open

    async def open_slowly(*args: Any) -> int:
        opening.set()
        await go_on.wait()
        return await opened(*args)

    monkeypatch.setattr(replica, "open", open_slowly)
    return opening, go_on


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


async def test_a_session_that_is_closed_while_it_is_rebuilt_leaves_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.keep_record("a")
    one, two = rig.replicas.replicas
    one.mute = True
    await rig.send("a", 0)
    await until(lambda: one.heard == [0])
    session = rig.service.placement._placed["a"]
    opening, go_on = hold_opening(two, monkeypatch)
    one.lose()
    await opening.wait()
    await rig.change("a", Closed("closed_by_caller"))
    await until(lambda: session.over)
    go_on.set()
    await until(lambda: not session.pending)
    assert two.opened == 1
    assert not two.engine._sessions


class HeldTopic(MemoryTopic[DecisionMessage]):
    """One that takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__(groups=["test"])
        self.asked, self.free = asyncio.Event(), asyncio.Event()

    async def send(self, message: DecisionMessage) -> int:
        self.asked.set()
        await self.free.wait()
        return await super().send(message)


async def test_a_window_that_moves_on_while_a_session_is_rebuilt_costs_it_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where a decision was made before the decoder was lost, and is published after that."""
    monkeypatch.setattr(placement, "CLOCK_SLACK_US", 0)
    decisions = HeldTopic()
    async with running(decisions=decisions) as rig:
        await rig.keep_record("a")
        one, two = rig.replicas.replicas
        decisions.free.set()
        for index in range(4):
            await rig.send("a", index, captured_unix_us=unix_us())
            await rig.decided_up_to("a", index)
        decisions.free.clear()
        decisions.asked.clear()
        one.mute = True
        for index in (4, 5):
            await rig.send("a", index, captured_unix_us=unix_us())
        await until(lambda: one.heard[-1] == 5)
        session = rig.service.placement._placed["a"]
        for answer in one.owed:
            answer.set_result(Heard(Decision("a", 5, Action.SILENT), window_start=5))
        await decisions.asked.wait()
        opening, go_on = hold_opening(two, monkeypatch)
        one.lose()
        await rig.send("a", 6, captured_unix_us=unix_us())
        await opening.wait()
        decisions.free.set()
        await until(lambda: session.window_start == 5)
        go_on.set()
        assert [index for index, _ in numbers(await rig.decided_up_to("a", 6))] == [5, 6]
        assert (
            session.window_start == 4
        )  # where the rebuilt one began: it has to say what it opened
        one.gone = one.mute = False
        two.lose()
        await rig.send("a", 7, captured_unix_us=unix_us())
        assert [index for index, _ in numbers(await rig.decided_up_to("a", 7))] == [7]


async def test_a_decoder_that_forgot_a_session_is_given_what_it_needs_again(rig: Rig) -> None:
    await rig.keep_record("a")
    for index in range(3):
        await rig.send("a", index)
        await rig.decided_up_to("a", index)
    await rig.engine.close("a")
    await rig.send("a", 3)
    assert numbers(await rig.decided_up_to("a", 3)) == [(3, [])]
    assert rig.store._records["a"].decoder == "one"


async def test_a_decoder_that_is_lost_again_while_it_catches_up_is_no_failure(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.keep_record("a")
    one, two = rig.replicas.replicas
    one.mute = True
    for index in range(3):
        await rig.send("a", index)
    await until(lambda: one.heard == [0, 1, 2])
    hear = two.hear

    def forget_and_hear(features: Features) -> Awaitable[Heard]:
        monkeypatch.setattr(two, "hear", hear)
        two.engine._sessions.clear()  # as one that was started anew at this moment
        return hear(features)

    monkeypatch.setattr(two, "hear", forget_and_hear)
    one.lose()
    assert [index for index, _ in numbers(await rig.decided_up_to("a", 2))] == [0, 1, 2]


async def test_a_session_that_comes_back_to_a_decoder_begins_there_anew(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was cut off, not ended, has the session as it was then: long before the window."""
    monkeypatch.setattr(placement, "CLOCK_SLACK_US", 0)
    await rig.keep_record("a")
    one, two = rig.replicas.replicas
    for index in range(12):
        if index == 2:
            one.lose()
        if index == 11:
            one.gone = False
            two.lose()
        await rig.send("a", index, captured_unix_us=unix_us())
        assert (await rig.decided_up_to("a", index))[-1].decision.index == index
    assert rig.store._records["a"].decoder == "one"
    assert 2 not in one.heard


async def test_an_instruction_reaches_the_decoder_that_follows_a_lost_one(rig: Rig) -> None:
    await rig.keep_record("a")
    await rig.send("a", 0)
    await rig.decided_up_to("a", 0)
    one, two = rig.replicas.replicas
    one.lose()
    await rig.change("a", Instructed("count the dogs"))
    await until(lambda: "a" in two.engine._sessions)
    await until(lambda: two.engine._sessions["a"].state.instruction == "count the dogs")


async def test_an_instruction_that_came_during_a_decision_is_not_lost_with_the_decoder(
    rig: Rig,
) -> None:
    await rig.keep_record("a")
    one, two = rig.replicas.replicas
    one.mute = True
    await rig.send("a", 0)
    await until(lambda: one.heard == [0])
    await rig.change("a", Instructed("count the dogs"))
    await until(lambda: one.engine._sessions["a"].state.instruction == "count the dogs")
    await until(lambda: rig.service.placement._placed["a"].instruction == "count the dogs")
    [answer] = one.owed
    answer.set_result(Heard(Decision("a", 0, Action.SILENT), memory="as it was before"))
    await rig.decided_up_to("a", 0)
    one.lose()
    await rig.send("a", 1)
    await rig.decided_up_to("a", 1)
    assert two.engine._sessions["a"].state.instruction == "count the dogs"


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


async def test_a_session_that_was_taken_over_is_rebuilt_from_where_its_window_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though the replica that took it over has seen only the newest chunks of the window."""
    monkeypatch.setattr(placement, "CLOCK_SLACK_US", 0)
    features = MemoryTopic[FeaturesMessage](groups=["decision"], kept=100)
    store, replicas = MemorySessionStore(), Replicas()
    stepping = [asyncio.create_task(each.engine.run()) for each in replicas.replicas]
    async with running(features=features, store=store, replicas=replicas) as first:
        await first.keep_record("a")
        for index in range(5):  # after the last of them a turn begins, which is written at once
            await first.send("a", index, captured_unix_us=unix_us())
            await first.decided_up_to("a", index)
        await until(lambda: store._records["a"].last_index == 4)
        assert store._records["a"].window_start == 4
    async with running(features=features, store=store, replicas=replicas) as second:
        await second.send("a", 5, captured_unix_us=unix_us())
        await second.decided_up_to("a", 5)
        replicas.at("one").lose()
        await second.send("a", 6, captured_unix_us=unix_us())
        assert numbers(await second.decided_up_to("a", 6)) == [(6, [])]
    for each in stepping:
        each.cancel()
    await asyncio.gather(*stepping, return_exceptions=True)
