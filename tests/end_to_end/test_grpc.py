"""Calls over gRPC, through the four services and back."""

from typing import Any, cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.core.generated.soundflow.v1 import interaction_service_pb2 as api
from services.core.generated.soundflow.v1 import stream_pb2 as pb
from tests.end_to_end.platform import Running, told, tone
from tests.end_to_end.requests import audio, opening
from tests.waiting import until


async def test_a_grpc_call_from_open_to_close(served: Running) -> None:
    requests = [opening(instruction="say something"), audio(tone(chunks=6.5))]
    events = await told(served.grpc.Stream(iter(requests)))
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[0] == "session_opened"
    assert kinds[-1] == "session_closed"
    assert kinds.count("response_started") == 1
    assert events[-1].session_closed == pb.SessionClosed(reason="complete", chunks=7, turns=1)


async def test_a_grpc_call_can_instruct_and_cancel_on_the_way(served: Running) -> None:
    requests = [
        opening(instruction="first"),
        api.StreamRequest(instruction="second"),
        api.StreamRequest(cancel_turn=1),
        audio(tone(chunks=1)),
    ]
    events = await told(served.grpc.Stream(iter(requests)))
    request = api.GetSessionRequest(session_id=events[0].session_id)
    assert (await served.grpc.GetSession(request)).spec.instruction == "second"
    assert events[-1].session_closed.reason == "complete"


async def test_grpc_and_websocket_tell_the_same(served: Running) -> None:
    call = served.grpc.Stream(iter([opening(), audio(tone(chunks=5))]))
    over_grpc = [event.WhichOneof("event") for event in await told(call)]
    async with served.stream() as stream:
        await stream.send(tone(chunks=5))
        await stream.send({"type": "audio.end"})
        over_websocket = [event["type"].replace(".", "_") for event in await stream.rest()]
    # How many chunks a decision covers depends on the moment, so decisions are left out.
    assert [kind for kind in over_grpc if kind != "decision"] == [
        kind for kind in over_websocket if kind != "decision"
    ]


async def test_another_call_can_instruct_ask_for_and_close_a_session(served: Running) -> None:
    async with served.stream(instruction="first") as stream:
        session_id = (await stream.until("session.opened"))["session_id"]
        await stream.send(tone(chunks=5))
        await stream.until("response.ended")
        await served.grpc.Instruct(api.InstructRequest(session_id=session_id, text="second"))

        async def session() -> api.GetSessionResponse:
            request = api.GetSessionRequest(session_id=session_id)
            state: api.GetSessionResponse = await served.grpc.GetSession(request)
            return state

        async def kept() -> bool:
            return bool((await session()).turns)

        await until(kept)
        state = await session()
        await served.grpc.CloseSession(api.CloseSessionRequest(session_id=session_id))
        events = await stream.rest()
        closed = await session()
    assert state.spec.instruction == "second"
    assert [(turn.turn, turn.kind, turn.text) for turn in state.turns] == [
        (1, pb.KIND_NOTICE, "chunk 4")
    ]
    assert (state.last_index, state.closed) == (4, "")
    assert events[-1]["reason"] == closed.closed == "closed_by_caller"


async def test_grpc_tells_its_health_and_what_it_serves(served: Running) -> None:
    service = "soundflow.v1.InteractionService"
    async with grpc.aio.insecure_channel(served.addresses.grpc) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(cast(grpc.Channel, channel))
        question = reflection_pb2.ServerReflectionRequest(list_services="")
        listed = await told(reflection.ServerReflectionInfo(iter([question])))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert service in {entry.name for entry in listed[0].list_services_response.service}
