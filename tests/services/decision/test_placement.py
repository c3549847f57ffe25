"""Which decoder a session is on: full ones, lost ones, and those of a newer version."""

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest

from services.core.clock import unix_us
from services.core.messages import NO_ROOM, FeaturesMessage, Instructed
from services.decision import placement
from services.state.memory import MemorySessionStore
from services.transport.memory import MemoryTopic
from soundflow.decoder import DecoderFull
from soundflow.engine_session import Heard
from soundflow.interaction import Action, Decision
from soundflow.null import NullState
from tests.services.decision.replicas import Replicas
from tests.services.decision.rig import Rig, numbers, running
from tests.waiting import until


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


async def test_the_record_names_no_decoder_that_had_no_room(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill("two", rig, monkeypatch)
    await rig.keep_record("a")
    await rig.send("a", 0)
    await rig.decided_up_to("a", 0)
    one, two = rig.replicas.replicas
    asked = two.opened
    one.lose()
    await rig.send("a", 1)
    await until(lambda: two.opened > asked)
    one.gone = False  # it was only cut off, and has its sessions still
    await rig.decided_up_to("a", 1)
    assert (await rig.store.get("a")).decoder == "one"


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
