"""Callers over gRPC who come back, for what is its own."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from services.core.events import CloseReason
from services.core.generated.soundflow.v1 import interaction_service_pb2 as api
from services.core.generated.soundflow.v1 import interaction_service_pb2_grpc as rpc
from tests.end_to_end.platform import Running, tone
from tests.end_to_end.requests import error_code
from tests.end_to_end.resume.caller import CHUNK_BYTES
from tests.end_to_end.wire import wire_to
from tests.waiting import DEADLINE_S


class GrpcCaller:
    """A call over gRPC, taken message by message."""

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
    assert error_code(refused.value) == "bad_token"
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
    assert error_code(ended.value) == code
    await served.ingestion.close(opened.session_id, CloseReason.CLOSED_BY_CALLER)
