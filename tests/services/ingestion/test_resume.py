"""Callers who come back, to this replica or another: what they are told, and where they go on."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.core.errors import Unavailable
from services.core.events import (
    CallerEvent,
    CloseReason,
    Event,
    ResponseEnded,
    ResponseStarted,
    ResponseText,
    SessionClosed,
    SessionResumed,
)
from services.core.messages import AudioMessage
from services.ingestion.resuming import LOOK_BACK_US
from services.transport.port import Kept
from soundflow.interaction import EndReason, Kind
from tests.services.ingestion.caller import Caller, chunk
from tests.services.ingestion.rig import Rig, decision, make_rig, play, replica_of, unread
from tests.waiting import DEADLINE_S, until


async def lose(rig: Rig, *events: Event) -> None:
    """Play response while nobody can be reached: record only."""
    for event in events:
        await rig.record("a", event)


@pytest.fixture(params=["the same replica", "another replica"])
async def back_at(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Rig, Rig]]:
    """Return where a caller was, and where it comes back to."""
    rig = make_rig(resume_within_s=DEADLINE_S)
    yield rig, rig if request.param == "the same replica" else replica_of(rig, "other")


Both = tuple[Rig, Rig]


async def test_what_was_missed_is_told_after_the_return_and_then_what_comes(back_at: Both) -> None:
    rig, other = back_at
    caller = await Caller("a").call(rig)
    await play(rig, "a", decision(0), decision(1))
    caller.take()
    await rig.service.keep(caller.sessions) if rig is not other else None
    await lose(rig, decision(2), ResponseStarted(1, 2, Kind.ANSWER))
    await caller.back(other)
    await play(other, "a", decision(3))
    await until(
        caller.waits_for(
            SessionResumed("a", "small", 0),
            decision(2),
            ResponseStarted(1, 2, Kind.ANSWER),
            decision(3),
        )
    )
    caller.take()
    ids = [told.id for told in caller.read if told.id]
    assert ids == sorted(set(ids))


async def test_a_caller_that_saw_nothing_is_told_all(back_at: Both) -> None:
    rig, other = back_at
    caller = await Caller("a").call(rig)
    await play(rig, "a", decision(0), decision(1))
    await caller.back(other, last_event_id=0)
    resumed = SessionResumed("a", "small", 0)
    await until(caller.waits_for(resumed, decision(0), decision(1)))


async def test_a_caller_that_claims_to_have_seen_what_is_still_to_come_is_told_it(
    back_at: Both,
) -> None:
    rig, other = back_at
    caller = await Caller("a").call(rig)
    await play(rig, "a", decision(0), decision(1))
    caller.take()
    [session] = (await caller.back(other, last_event_id=10**6)).sessions
    await until(lambda: not session.behind)
    closed = SessionClosed(CloseReason.COMPLETE, chunks=3, turns=0)
    await play(other, "a", decision(2), closed)
    await until(caller.waits_for(SessionResumed("a", "small", 0), decision(2), closed))


async def test_what_is_said_again_after_the_return_is_known(back_at: Both) -> None:
    rig, other = back_at
    caller = await Caller("a").call(rig)
    said: list[Event] = [ResponseStarted(1, 0, Kind.ANSWER), ResponseText(1, 0, "yes", final=True)]
    await play(rig, "a", decision(0), *said)
    caller.take()
    await caller.back(other)
    ended = ResponseEnded(1, EndReason.COMPLETE)
    await play(other, "a", decision(0), *said, ended)
    await until(caller.waits_for(SessionResumed("a", "small", 0), ended))


async def test_audio_goes_on_after_the_newest_chunk_that_was_sent(back_at: Both) -> None:
    rig, other = back_at
    caller = await Caller("a").call(rig)
    for index in range(3):
        await rig.service.send(caller.sessions[0], chunk("a", index))
    resumed = await caller.back(other)
    assert (resumed.audio.chunk, resumed.audio.ended) == (3, False)
    assert unread(caller.outbox) == [SessionResumed("a", "small", 3)]
    await other.service.close("a", CloseReason.CLOSED_BY_CALLER)
    closed = SessionClosed(CloseReason.CLOSED_BY_CALLER, chunks=3, turns=0)
    assert unread(caller.outbox)[-1] == closed


async def test_audio_that_ended_takes_no_more(back_at: Both) -> None:
    rig, other = back_at
    caller = await Caller("a").call(rig)
    await rig.service.send(caller.sessions[0], chunk("a", 0, last=True))
    resumed = await caller.back(other)
    assert (resumed.audio.chunk, resumed.audio.ended) == (1, True)


async def test_audio_that_ended_takes_no_more_when_it_is_kept_nowhere_any_longer() -> None:
    rig = make_rig(resume_within_s=DEADLINE_S)
    caller = await Caller("a").call(rig)
    await rig.service.send(caller.sessions[0], chunk("a", 0, last=True))
    rig.audio.sent.clear()
    for _ in range(2):
        assert (await caller.back(rig)).audio.ended


async def test_another_replica_looks_for_audio_from_when_the_session_was_written_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig, minute_us = make_rig(), 60_000_000
    caller = await Caller("a").call(rig)
    record = await rig.store.get("a")
    written_unix_us = record.updated_unix_us - minute_us
    rig.store._records["a"] = dataclasses.replace(record, updated_unix_us=written_unix_us)
    asked: list[int] = []
    read = rig.audio.read

    def watched(session_id: str, since_unix_us: int) -> AsyncIterator[Kept[AudioMessage]]:
        asked.append(since_unix_us)
        return read(session_id, since_unix_us)

    monkeypatch.setattr(rig.audio, "read", watched)
    await caller.back(replica_of(rig, "other"))
    assert asked == [written_unix_us - LOOK_BACK_US]


async def test_without_a_trace_of_audio_the_record_says_where_it_goes_on() -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    await rig.store.update("a", lambda record: dataclasses.replace(record, last_index=41))
    resumed = await caller.back(replica_of(rig, "other"))
    assert resumed.audio.chunk == 42


async def test_a_chunk_on_its_way_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = make_rig(resume_within_s=DEADLINE_S)
    caller = await Caller("a").call(rig)
    arrives = asyncio.Event()
    send = rig.audio.send

    async def send_slowly(message: Any) -> int:
        await arrives.wait()
        return await send(message)

    monkeypatch.setattr(rig.audio, "send", send_slowly)
    sending = asyncio.create_task(rig.service.send(caller.sessions[0], chunk("a", 0)))
    await asyncio.sleep(0)
    sending.cancel()  # the connection is gone, the chunk is not
    returning = asyncio.create_task(caller.back(rig))
    await asyncio.sleep(0.01)
    assert not returning.done()
    arrives.set()
    assert (await asyncio.wait_for(returning, DEADLINE_S)).audio.chunk == 1
    assert rig.chunks("a") == [0]


async def test_a_chunk_that_was_given_up_with_its_connection_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = make_rig(resume_within_s=DEADLINE_S)
    caller = await Caller("a").call(rig)
    await rig.service.send(caller.sessions[0], chunk("a", 0))

    async def refuse(message: Any) -> int:
        raise Unavailable("transport_unavailable", "Kafka does not answer")

    monkeypatch.setattr(rig.audio, "send", refuse)
    sending = asyncio.create_task(rig.service.send(caller.sessions[0], chunk("a", 1)))
    await asyncio.sleep(0.01)
    sending.cancel()
    assert (await caller.back(rig)).audio.chunk == 1


async def test_channels_go_on_together_where_the_last_of_them_was(back_at: Both) -> None:
    rig, other = back_at
    caller = await Caller("left", "right").call(rig)
    for index in range(3):
        await rig.service.send(caller.sessions[0], chunk("left", index))
    await rig.service.send(caller.sessions[1], chunk("right", 0))
    await play(rig, "right", decision(0))
    resumed = await caller.back(other)
    assert resumed.audio.chunk == 1
    assert [session.channel for session in resumed.sessions] == [0, 1]
    await until(lambda: len(caller.outbox._events) == 3)
    caller.take()
    assert [(told.session_id, told.channel) for told in caller.read[-3:]] == [
        ("left", 0),
        ("right", 1),
        ("right", 1),
    ]


async def test_a_session_that_ended_meanwhile_tells_the_rest_and_the_end(back_at: Both) -> None:
    rig, other = back_at
    caller = await Caller("a").call(rig)
    await play(rig, "a", decision(0))
    caller.take()
    await lose(rig, decision(1))
    await rig.service.close("a", CloseReason.IDLE)
    [session] = (await caller.back(other)).sessions
    closed = SessionClosed(CloseReason.IDLE, 0, 0)
    await until(caller.waits_for(SessionResumed("a", "small", 0), decision(1), closed))
    assert session.ended.is_set()
    assert other.service.open_sessions == 0


async def test_the_recorded_end_is_the_one_that_is_told() -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    closed = SessionClosed(CloseReason.COMPLETE, chunks=7, turns=2)
    await play(rig, "a", closed)
    await until(lambda: bool(rig.changes("a")[1:]))
    await caller.back(rig)
    await until(caller.waits_for(SessionResumed("a", "small", 0), closed))


async def test_what_was_recorded_long_ago_is_read_for_a_caller_that_missed_it() -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    asked: list[int] = []

    async def read(session_id: str, since_unix_us: int) -> AsyncIterator[Kept[CallerEvent]]:
        """Have the first ten events be older than what is looked at first."""
        asked.append(since_unix_us)
        for kept in await rig.recorded(session_id):
            if len(asked) > 1 or kept.position > 10:
                yield kept

    rig.service._delivering = dataclasses.replace(
        rig.service._delivering, record=type("Record", (), {"read": staticmethod(read)})()
    )
    await lose(rig, *map(decision, range(20)))
    await caller.back(rig, last_event_id=5)
    resumed = SessionResumed("a", "small", 0)
    await until(caller.waits_for(resumed, *map(decision, range(5, 20))))
    assert len(asked) == 2
