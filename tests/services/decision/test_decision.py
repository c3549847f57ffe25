"""Features to decisions, around the real engine and the null model."""

import dataclasses
from collections.abc import Callable

from services.core.errors import Unavailable
from services.core.messages import GIVEN_UP, Closed, Instructed, Opened, TurnCancelled
from services.state.memory import MemorySessionStore
from services.state.port import SessionRecord
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


async def test_a_session_without_a_record_ends_alone(rig: Rig) -> None:
    await rig.send("nobody", 0)
    assert (await rig.announced(GIVEN_UP)).session_id == "nobody"


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
