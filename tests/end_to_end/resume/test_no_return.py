"""Callers who may not come back or come too late, and callers who never do."""

import asyncio

import pytest
from aiohttp import WSCloseCode

from services.ingestion.config import IngestionConfig
from tests.end_to_end.platform import Running, running
from tests.end_to_end.resume.caller import Caller

# Who cannot come back


async def refusal(served: Running, claim: dict[str, object]) -> tuple[str, int | None]:
    """Try to resume; return the error's code, and that of the close."""
    async with served.connect() as stream:
        await stream.send({"type": "session.resume", "sessions": [claim]})
        events = await stream.rest()
    assert [event["type"] for event in events] == ["error"]
    return events[0]["code"], stream.socket.close_code


async def test_a_wrong_token_and_an_unknown_session_are_refused(served: Running) -> None:
    caller = Caller(served, chunks=5)
    async with caller.connected() as (stream, _):
        [claim] = caller.claims()
        wrong = await refusal(served, {**claim, "resume_token": "guessed"})
        unknown = await refusal(served, {**claim, "session_id": "s-0"})
        await caller.finish(stream)  # which was not disturbed
    assert wrong == ("bad_token", WSCloseCode.POLICY_VIOLATION)
    assert unknown == ("session_unknown", WSCloseCode.POLICY_VIOLATION)
    await caller.check()


REFUSED = {
    "no session": ({"sessions": []}, "bad_field"),
    "no token": ({"sessions": [{"session_id": "s"}]}, "bad_field"),
    "a negative id": (
        {"sessions": [{"session_id": "s", "resume_token": "t", "last_event_id": -1}]},
        "bad_field",
    ),
    "two sessions of one channel": (
        {"sessions": [{"session_id": id_, "resume_token": "t"} for id_ in "ab"]},
        "bad_channels",
    ),
    "a field of session.open": ({"sessions": [], "instruction": "x"}, "bad_field"),
}


@pytest.mark.parametrize(("fields", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_resume_that_cannot_be_understood_is_refused(
    served: Running, fields: dict[str, object], code: str
) -> None:
    async with served.connect() as stream:
        await stream.send({"type": "session.resume", **fields})
        [error] = await stream.rest()
    assert error["code"] in (code, "unknown_field")


async def test_who_comes_too_late_still_learns_what_was_said_and_why_it_ended() -> None:
    async with running(resume_within_s=0.1) as served:
        caller = Caller(served, chunks=9)
        async with caller.connected() as (stream, wire):
            await caller.speak(stream, chunks=3)
            await stream.until("decision", chunk=2)
            wire.cut()
        assert await served.closed_for(caller.session_ids[0]) == "client_gone"
        async with caller.connected() as (stream, _):
            events = await stream.rest()
        assert (events[-1]["type"], events[-1]["reason"]) == ("session.closed", "client_gone")
        assert stream.socket.close_code == WSCloseCode.OK


# Who does not come back


async def test_a_caller_that_says_goodbye_is_closed_at_once(served: Running) -> None:
    async with served.stream() as stream:
        session_id = (await stream.until("session.opened"))["session_id"]
        await stream.socket.close(code=WSCloseCode.GOING_AWAY)
        assert await served.closed_for(session_id, within_s=2) == "client_gone"


@pytest.mark.parametrize("how", ["cut", "go_dead"])
async def test_a_caller_that_never_comes_back_is_closed_and_freed_within_ten_seconds(
    how: str,
) -> None:
    defaults = IngestionConfig()
    times = {
        "ping_interval_s": defaults.ping_interval_s,
        "resume_within_s": defaults.resume_within_s,
    }
    async with running(**times) as served:
        caller = Caller(served, chunks=9)
        async with caller.connected() as (stream, wire):
            await caller.speak(stream, chunks=2)
            getattr(wire, how)()
            async with asyncio.timeout(10):
                await served.all_freed()
        assert await served.closed_for(caller.session_ids[0]) == "client_gone"
