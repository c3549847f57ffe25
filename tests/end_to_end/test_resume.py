"""Callers whose connection breaks, and who come back: nothing lost, nothing twice."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import grpc
import pytest
from aiohttp import WSCloseCode

from services.core.events import CallerEvent, CloseReason, DecisionMade
from services.core.generated.soundflow.v1 import interaction_service_pb2 as api
from services.core.generated.soundflow.v1 import interaction_service_pb2_grpc as rpc
from services.ingestion.config import IngestionConfig
from soundflow.audio import CHUNK_SAMPLES
from tests.end_to_end.platform import Event, Running, Stream, neighbour, running, tone
from tests.end_to_end.wire import Wire, wire_to
from tests.waiting import DEADLINE_S, until

CHUNK_BYTES = 2 * CHUNK_SAMPLES
PATIENT = {"resume_within_s": DEADLINE_S}
AT_ONCE = aiohttp.ClientWSTimeout(ws_close=0.01)  # a broken wire brings no farewell to wait for


@dataclass
class Caller:
    """Speaks a recording of so many chunks, over one connection after another."""

    served: Running
    chunks: int
    channels: int = 1
    events: list[Event] = field(default_factory=list)
    position: int = 0  # in bytes
    resumed_at: list[int] = field(default_factory=list)

    @property
    def recording(self) -> bytes:
        return tone(chunks=self.chunks * self.channels)

    @property
    def audio(self) -> dict[str, Any]:
        return {"channels": self.channels, "layout": "split" if self.channels > 1 else "mix"}

    @property
    def session_ids(self) -> list[str]:
        opened = [event for event in self.events if event["type"] == "session.opened"]
        return [event["session_id"] for event in sorted(opened, key=lambda each: each["channel"])]

    def of(self, event_type: str, session_id: str = "") -> list[Event]:
        return [
            event
            for event in self.events
            if event["type"] == event_type and session_id in ("", event["session_id"])
        ]

    def claims(self) -> list[dict[str, object]]:
        return [
            {
                "session_id": session_id,
                "resume_token": self.of("session.opened", session_id)[0]["resume_token"],
                "last_event_id": max(self.ids(session_id), default=0),
            }
            for session_id in self.session_ids
        ]

    def ids(self, session_id: str) -> list[int]:
        mine = [event for event in self.events if event["session_id"] == session_id]
        return [event["id"] for event in mine if "id" in event]

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[Stream, Wire]]:
        """Connect over a wire that can be cut; open, or go on from what is known."""
        async with (
            wire_to(self.served.addresses.http) as wire,
            aiohttp.ClientSession() as http,
        ):
            url = f"http://{wire.address}/v1/stream"
            socket = await http.ws_connect(url, max_msg_size=0, timeout=AT_ONCE)
            stream = Stream(socket, self.events)
            if not self.session_ids:
                await stream.send({"type": "session.open", "audio": self.audio})
                while len(self.session_ids) < self.channels:
                    assert await stream.next()
            else:
                await stream.send(
                    {"type": "session.resume", "sessions": self.claims(), "audio": self.audio}
                )
                resumed = await stream.until("session.resumed")
                self.position = resumed["chunk"] * CHUNK_BYTES * self.channels
                self.resumed_at.append(resumed["chunk"])
            try:
                yield stream, wire
            finally:
                await socket.close()

    async def speak(self, stream: Stream, *, chunks: float) -> None:
        """Send a little at a time, as one speaks."""
        end = min(
            self.position + 2 * round(chunks * CHUNK_SAMPLES) * self.channels, len(self.recording)
        )
        while self.position < end:
            piece = self.recording[self.position : min(end, self.position + 3200)]
            await stream.send(piece)
            self.position += len(piece)
            await asyncio.sleep(0.001)

    async def finish(self, stream: Stream) -> None:
        await self.speak(stream, chunks=self.chunks)
        await stream.send({"type": "audio.end"})
        await stream.rest()

    async def check(self) -> None:
        """Compare what was told with the record: every event, once, in order."""
        for session_id in self.session_ids:
            recorded = await self.served.recorded(session_id)
            assert self.ids(session_id) == [kept.position for kept in recorded]
            self._check_record([kept.message for kept in recorded], session_id)

    def _check_record(self, recorded: list[CallerEvent], session_id: str) -> None:
        decided = [event["chunk"] for event in self.of("decision", session_id)]
        assert decided == sorted(set(decided))
        assert decided[-1] == self.chunks  # the last one is empty and says that it was all
        started = [event["turn"] for event in self.of("response.started", session_id)]
        assert started == [event["turn"] for event in self.of("response.ended", session_id)]
        assert len(started) == len(set(started)) > 0
        [closed] = self.of("session.closed", session_id)
        assert (closed["reason"], closed["chunks"]) == ("complete", self.chunks + 1)
        assert self.of("error", session_id) == []
        assert recorded[-1].event.type == "session.closed"


@pytest.fixture
async def served() -> AsyncIterator[Running]:
    async with running(**PATIENT) as served:
        yield served


@pytest.mark.parametrize("channels", [1, 2], ids=["mono", "split stereo"])
@pytest.mark.parametrize("how", ["cut", "go_dead"])
async def test_a_caller_that_is_cut_off_again_and_again_loses_nothing(
    how: str, channels: int
) -> None:
    async with running(**PATIENT, ping_interval_s=5) as served, neighbour(served):
        caller = Caller(served, chunks=40, channels=channels)
        for pieces in (3.3, 5, 7.8, 0.2, 0, 9.1):
            async with caller.connected() as (stream, wire):
                await caller.speak(stream, chunks=pieces)
                getattr(wire, how)()
        async with caller.connected() as (stream, _):
            await caller.finish(stream)
        await caller.check()
        assert caller.resumed_at == sorted(caller.resumed_at)
        assert caller.resumed_at[-1] >= 3


async def test_what_was_said_while_the_caller_was_away_is_told_first(served: Running) -> None:
    caller = Caller(served, chunks=30)
    async with caller.connected() as (stream, wire):
        wire.go_deaf()
        await caller.speak(stream, chunks=20)
        session_id = caller.session_ids[0]

        async def all_decided() -> bool:
            return 19 in await decided(served, session_id)

        await until(all_decided)
        wire.cut()
    told_before = len(caller.events)
    async with caller.connected() as (stream, _):
        assert caller.events[told_before]["type"] == "session.resumed"
        assert caller.resumed_at == [20]
        await caller.finish(stream)
    await caller.check()


async def test_a_resumed_session_ends_by_itself_when_its_audio_had_ended(served: Running) -> None:
    caller = Caller(served, chunks=5)
    async with caller.connected() as (stream, wire):
        wire.go_deaf()
        await caller.speak(stream, chunks=5)
        await stream.send({"type": "audio.end"})
        await until(lambda: served.ingestion.open_sessions == 0)
        wire.cut()
    async with caller.connected() as (stream, _):
        await stream.rest()
        assert stream.socket.close_code == WSCloseCode.OK
    await caller.check()


async def decided(served: Running, session_id: str) -> list[int]:
    """Return the chunks of the session's decisions that are recorded."""
    told = [kept.message.event for kept in await served.recorded(session_id)]
    return [event.chunk for event in told if isinstance(event, DecisionMade)]


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


async def test_the_later_of_two_connections_wins_and_the_earlier_is_told(served: Running) -> None:
    caller = Caller(served, chunks=12)
    async with caller.connected() as (first, _):
        await caller.speak(first, chunks=4)
        await first.until("decision", chunk=3)
        known = len(caller.events)
        async with caller.connected() as (second, _):
            # Both write into one list of events; what the first connection still says is looked at.
            while (event := await first.next()) and event["type"] != "error":
                pass
            assert event
            assert event["code"] == "session_moved"
            assert await first.next() is None
            assert first.socket.close_code == WSCloseCode.GOING_AWAY
            caller.events[known:] = [each for each in caller.events[known:] if each is not event]
            await caller.finish(second)
    await caller.check()


# A goodbye is none of these


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


# A replica that stops


async def test_a_replica_that_hands_over_asks_its_callers_to_come_again(served: Running) -> None:
    caller = Caller(served, chunks=9)
    async with caller.connected() as (stream, _):
        await caller.speak(stream, chunks=2)
        await stream.until("decision", chunk=1)
        await served.ingestion.hand_over()
        await stream.rest()
        assert stream.socket.close_code == WSCloseCode.SERVICE_RESTART
    async with caller.connected() as (stream, _):
        await caller.finish(stream)
    await caller.check()


# gRPC


class GrpcCaller:
    """The same over gRPC, for what is its own."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        stub = rpc.InteractionServiceStub(channel)  # type: ignore[no-untyped-call]
        self.call = stub.Stream()

    async def say(self, **request: Any) -> None:
        await self.call.write(api.StreamRequest(**request))

    async def next(self) -> Any:
        return await asyncio.wait_for(self.call.read(), DEADLINE_S)

    async def until(self, kind: str) -> Any:
        while (event := await self.next()) is not grpc.aio.EOF:
            if event.WhichOneof("event") == kind:
                return event
        raise AssertionError(f"the call ended before {kind}")

    async def rest(self) -> list[Any]:
        events = []
        while (event := await self.next()) is not grpc.aio.EOF:
            events.append(event)
        return events


def resume(opened: Any, *, last_event_id: int, token: str = "") -> api.ResumeSessions:
    session = api.ResumeSession(
        session_id=opened.session_id,
        resume_token=token or opened.session_opened.resume_token,
        last_event_id=last_event_id,
    )
    return api.ResumeSessions(sessions=[session])


@pytest.mark.parametrize("how", ["cancel", "cut", "go_dead"])
async def test_a_grpc_caller_resumes_where_it_was(served: Running, how: str) -> None:
    async with (
        wire_to(served.addresses.grpc) as wire,
        grpc.aio.insecure_channel(wire.address) as channel,
        grpc.aio.insecure_channel(served.addresses.grpc) as other,
    ):
        first = GrpcCaller(channel)
        await first.say(open=api.OpenSession())
        opened = await first.next()
        await first.say(audio=api.AudioData(data=tone(chunks=3)))
        seen = await first.until("decision")
        first.call.cancel() if how == "cancel" else getattr(wire, how)()
        await asyncio.sleep(0.05)
        again = GrpcCaller(other)
        await again.say(resume=resume(opened, last_event_id=seen.id))
        resumed = await again.next()
        assert 1 <= resumed.session_resumed.chunk <= 3
        assert resumed.session_id == opened.session_id
        missing = tone(chunks=5)[resumed.session_resumed.chunk * CHUNK_BYTES :]
        await again.say(audio=api.AudioData(data=missing))
        await again.call.done_writing()
        told = await again.rest()
    chunks = [event.decision.chunk for event in told if event.HasField("decision")]
    assert [seen.decision.chunk, *chunks] == sorted({seen.decision.chunk, *chunks})
    assert chunks[-1] == 5
    ids = [event.id for event in told if event.id]
    assert all(earlier < later for earlier, later in itertools.pairwise([seen.id, *ids]))
    assert told[-1].session_closed.reason == "complete"


@pytest.fixture
async def channel(served: Running) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(served.addresses.grpc) as channel:
        yield channel


async def test_a_grpc_caller_with_a_wrong_token_is_refused(channel: grpc.aio.Channel) -> None:
    first = GrpcCaller(channel)
    await first.say(open=api.OpenSession())
    opened = await first.next()
    again = GrpcCaller(channel)
    await again.say(resume=resume(opened, last_event_id=0, token="guessed"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await again.next()
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert dict(refused.value.trailing_metadata() or ())["soundflow-error"] == "bad_token"
    await first.call.done_writing()
    await first.rest()


@pytest.mark.parametrize(
    ("end", "status", "code"),
    [
        ("hand over", grpc.StatusCode.UNAVAILABLE, "handed_over"),
        ("moved", grpc.StatusCode.ABORTED, "session_moved"),
    ],
)
async def test_a_grpc_call_whose_session_goes_on_elsewhere_says_so(
    served: Running, channel: grpc.aio.Channel, end: str, status: grpc.StatusCode, code: str
) -> None:
    first = GrpcCaller(channel)
    await first.say(open=api.OpenSession())
    opened = await first.next()
    if end == "moved":
        await served.ingestion.let_go(opened.session_id, epoch=1)
        assert (await first.next()).error.code == code
    else:
        await served.ingestion.hand_over()
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await first.next()
    assert ended.value.code() is status
    assert dict(ended.value.trailing_metadata() or ())["soundflow-error"] == code
    await served.ingestion.close(opened.session_id, CloseReason.CLOSED_BY_CALLER)
