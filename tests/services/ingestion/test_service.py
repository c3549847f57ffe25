"""Sessions from admission to the last event."""

import asyncio

import pytest

from services.core.errors import BadRequest, Overloaded, SessionUnknown, Unavailable
from services.core.events import (
    CloseReason,
    ErrorEvent,
    ResponseStarted,
    SessionClosed,
    SessionOpened,
)
from services.core.messages import Closed, Instructed, Opened, TurnCancelled
from services.ingestion.live import LiveSession
from services.ingestion.outbox import Outbox
from services.state.port import SessionRecord
from soundflow.interaction import Ability, Kind, SessionSpec
from tests.services.ingestion.rig import Rig, decision, make_rig, unread
from tests.waiting import DEADLINE_S, until

DECISIONS = [decision(chunk) for chunk in range(4)]
DECISION = DECISIONS[0]


async def opened(
    rig: Rig, *ids: str, capacity: int = 100, spec: SessionSpec | None = None
) -> tuple[Outbox, list[LiveSession]]:
    outbox = Outbox(capacity=capacity, sessions=len(ids))
    return outbox, await rig.service.open(spec or SessionSpec(), ids, outbox, face="test")


async def test_opening_tells_the_caller_the_services_and_the_record() -> None:
    rig = make_rig()
    outbox, _ = await opened(rig, "a", spec=SessionSpec("listen"))
    spec = SessionSpec("listen", model="small")  # the platform's own, as the caller named none
    first = unread(outbox)[0]
    assert isinstance(first, SessionOpened)
    assert (first.session_id, first.model) == ("a", "small")
    assert rig.changes("a") == [Opened(spec)]
    assert (await rig.service.record("a")).spec == spec
    assert rig.service.open_sessions == 1


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        (SessionSpec(model="huge"), "unknown_model"),
        (SessionSpec(abilities=frozenset({Ability.COUNT})), "unknown_ability"),
        (SessionSpec(source_language="xx"), "unknown_language"),
        (SessionSpec(source_language="Deutsch"), "bad_language"),
    ],
)
async def test_what_the_model_cannot_do_is_refused(spec: SessionSpec, code: str) -> None:
    rig = make_rig()
    with pytest.raises(BadRequest) as refused:
        await opened(rig, "a", spec=spec)
    assert refused.value.code == code
    assert rig.service.open_sessions == 0


async def test_sessions_beyond_capacity_are_refused_all_or_none() -> None:
    rig = make_rig(max_sessions=2, retry_after_s=9)
    await opened(rig, "a")
    with pytest.raises(Overloaded) as refused:
        await opened(rig, "b", "c")
    assert refused.value.retry_after_s == 9
    assert rig.service.open_sessions == 1
    await rig.service.close("a", CloseReason.IDLE)
    await opened(rig, "b", "c")
    assert rig.service.open_sessions == 2


async def test_opening_that_fails_half_way_leaves_nothing_open() -> None:
    rig = make_rig()
    await rig.service.store.create(SessionRecord("b", SessionSpec(), 0))
    with pytest.raises(Exception, match="'b' exists"):
        await opened(rig, "a", "b")
    assert rig.service.open_sessions == 0


async def test_a_service_that_drains_takes_nobody_new() -> None:
    rig = make_rig()
    _, [session] = await opened(rig, "a")
    rig.service.drain()
    assert not rig.service.accepting
    with pytest.raises(Unavailable):
        await opened(rig, "b")
    waiting = asyncio.create_task(rig.service.all_closed())
    await rig.tell("a", SessionClosed(CloseReason.COMPLETE, 1, 0))
    await asyncio.wait_for(waiting, DEADLINE_S)
    assert session.ended.is_set()


async def test_events_reach_their_caller_with_its_channel() -> None:
    rig = make_rig()
    outbox, _ = await opened(rig, "left", "right")
    await rig.tell("right", DECISION)
    told = outbox._events[-1]
    assert (told.session_id, told.channel, told.event) == ("right", 1, DECISION)


async def test_events_of_nobody_are_dropped() -> None:
    rig = make_rig()
    outbox, _ = await opened(rig, "a")
    await rig.tell("b", DECISION)
    assert DECISION not in unread(outbox)


async def test_the_end_is_told_once_to_caller_services_and_record() -> None:
    rig = make_rig()
    outbox, [session] = await opened(rig, "a")
    closed = SessionClosed(CloseReason.COMPLETE, 3, 1)
    await rig.tell("a", closed, closed, DECISION)
    assert unread(outbox)[1:] == [closed]
    await until(lambda: rig.changes("a")[1:] == [Closed("complete", caller_told=True)])
    assert (await rig.service.record("a")).closed == "complete"
    assert session.ended.is_set()
    with pytest.raises(SessionUnknown):
        await rig.service.close("a", CloseReason.IDLE)


async def test_closing_counts_what_was_heard_and_said() -> None:
    rig = make_rig()
    outbox, _ = await opened(rig, "a")
    await rig.tell("a", ResponseStarted(1, 0, Kind.ANSWER), ResponseStarted(2, 0, Kind.ANSWER))
    await rig.service.close("a", CloseReason.CLOSED_BY_CALLER)
    assert unread(outbox)[-1] == SessionClosed(CloseReason.CLOSED_BY_CALLER, chunks=0, turns=2)


async def test_a_caller_that_does_not_read_is_closed_with_the_reason_alone() -> None:
    rig = make_rig()
    outbox, _ = await opened(rig, "a", capacity=3)
    await rig.tell("a", *DECISIONS)
    assert unread(outbox) == [SessionClosed(CloseReason.CLIENT_TOO_SLOW, 0, 0)]
    assert rig.service.open_sessions == 0


async def test_both_channels_of_a_caller_that_does_not_read_are_closed() -> None:
    rig = make_rig()
    outbox, _ = await opened(rig, "left", "right", capacity=3)
    await opened(rig, "other")
    await rig.tell("left", *DECISIONS[:2])
    assert [type(event) for event in unread(outbox)] == [SessionClosed, SessionClosed]
    assert rig.service.open_sessions == 1


async def test_what_ingestion_itself_tells_is_bounded_too() -> None:
    rig = make_rig()
    outbox, [session] = await opened(rig, "a", capacity=3)
    for _ in range(10):
        rig.service.tell(session, ErrorEvent("bad_samples", "again"))
    assert len(unread(outbox)) <= 3
    assert session.ended.is_set()

    async def closed() -> bool:
        return (await rig.service.record("a")).closed == "client_too_slow"

    await until(closed)


async def test_a_new_instruction_reaches_the_record_and_the_services() -> None:
    rig = make_rig()
    await opened(rig, "a", spec=SessionSpec("listen"))
    await rig.service.instruct("a", "stop")
    assert (await rig.service.record("a")).spec.instruction == "stop"
    assert rig.changes("a")[-1] == Instructed("stop")


async def test_instructions_without_words_or_to_closed_sessions_are_refused() -> None:
    rig = make_rig()
    await opened(rig, "a")
    with pytest.raises(BadRequest, match="words"):
        await rig.service.instruct("a", "\n")
    await rig.service.close("a", CloseReason.IDLE)
    for session_id in ("a", "b"):
        with pytest.raises(SessionUnknown):
            await rig.service.instruct(session_id, "hello")
    assert not any(isinstance(change, Instructed) for change in rig.changes("a"))


async def test_a_turn_can_be_cancelled() -> None:
    rig = make_rig()
    await opened(rig, "a")
    await rig.service.cancel("a", 4)
    assert rig.changes("a")[-1] == TurnCancelled(4)


async def test_closing_all_closes_all() -> None:
    rig = make_rig()
    outboxes = [(await opened(rig, name))[0] for name in "abc"]
    await rig.service.close_all(CloseReason.SHUTDOWN)
    assert rig.service.open_sessions == 0
    for outbox in outboxes:
        assert unread(outbox)[-1] == SessionClosed(CloseReason.SHUTDOWN, 0, 0)


async def test_a_session_that_ends_by_itself_while_all_are_closed_ends_once() -> None:
    rig = make_rig()
    outbox, _ = await opened(rig, "a")
    closing = asyncio.create_task(rig.service.close_all(CloseReason.SHUTDOWN))
    await rig.tell("a", SessionClosed(CloseReason.COMPLETE, 0, 0))
    await asyncio.wait_for(closing, DEADLINE_S)
    assert unread(outbox)[1:] == [SessionClosed(CloseReason.COMPLETE, 0, 0)]
    await until(lambda: rig.changes("a")[1:] == [Closed("complete", caller_told=True)])


async def test_ids_are_not_guessed_and_do_not_repeat() -> None:
    rig = make_rig()
    assert len({rig.service.new_id() for _ in range(1000)}) == 1000
