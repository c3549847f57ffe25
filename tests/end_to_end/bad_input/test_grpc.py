"""What bad input gets over gRPC: a status for a broken protocol, an event for bad audio."""

from typing import cast

import grpc
import numpy as np
import pytest

from services.core.generated.soundflow.v1 import interaction_service_pb2 as api
from services.core.generated.soundflow.v1 import stream_pb2 as pb
from tests.end_to_end.bad_input.sent import MAX_MESSAGE_BYTES
from tests.end_to_end.platform import Running, running, told
from tests.end_to_end.requests import error_code, opening

REFUSED_CALLS: dict[str, tuple[list[api.StreamRequest], str]] = {
    "nothing": ([], "no_open"),
    "an empty request": ([api.StreamRequest()], "no_open"),
    "audio before open": ([api.StreamRequest(audio=api.AudioData(data=b"\0\0"))], "no_open"),
    "an unknown ability": ([opening(abilities=[99])], "unknown_ability"),
    "an unknown model": ([opening(model="huge")], "unknown_model"),
    "less than 0 Hz": ([opening(api.AudioFormat(sample_rate_hz=-1))], "bad_rate"),
    "7 channels": ([opening(api.AudioFormat(channels=7))], "bad_channels"),
    "an unknown encoding": (
        [opening(api.AudioFormat(encoding=cast(api.Encoding, 99)))],
        "bad_message",
    ),
    "an unknown layout": (
        [opening(api.AudioFormat(layout=cast(api.Channels, 99)))],
        "bad_message",
    ),
    "a second open": ([opening(), opening()], "second_open"),
    "an empty request later": ([opening(), api.StreamRequest()], "unknown_type"),
    "audio over the limit": (
        [opening(), api.StreamRequest(audio=api.AudioData(data=bytes(MAX_MESSAGE_BYTES + 2)))],
        "message_too_large",
    ),
}


@pytest.mark.parametrize(("requests", "code"), REFUSED_CALLS.values(), ids=REFUSED_CALLS.keys())
async def test_a_grpc_call_that_breaks_the_protocol_ends_with_a_status(
    served: Running, requests: list[api.StreamRequest], code: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await told(served.grpc.Stream(iter(requests)))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_code(refused.value) == code
    assert refused.value.details()


async def test_a_grpc_message_far_over_the_limit_is_refused_by_grpc(served: Running) -> None:
    large = api.StreamRequest(audio=api.AudioData(data=bytes(10 * MAX_MESSAGE_BYTES)))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await told(served.grpc.Stream(iter([opening(), large])))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_grpc_call_that_never_opens_is_ended() -> None:
    async with running(open_within_s=0.1) as served:
        call = served.grpc.Stream()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
    assert error_code(refused.value) == "no_open"


async def test_bad_audio_over_grpc_is_told_of_and_the_call_goes_on(served: Running) -> None:
    requests = [
        opening(api.AudioFormat(encoding=api.ENCODING_PCM_F32LE)),
        api.StreamRequest(audio=api.AudioData(data=np.full(9, np.nan, "<f4").tobytes())),
        api.StreamRequest(audio=api.AudioData(data=bytes(4 * 6400 + 1))),
    ]
    events = await told(served.grpc.Stream(iter(requests)))
    errors = [event.error.code for event in events if event.HasField("error")]
    assert errors == ["bad_samples", "odd_length"]
    assert events[-1].session_closed == pb.SessionClosed(reason="complete", chunks=2)


async def test_questions_about_a_session_that_is_not_here_are_not_found(served: Running) -> None:
    nobody = "s-0000"
    for call in (
        served.grpc.Instruct(api.InstructRequest(session_id=nobody, text="hello")),
        served.grpc.GetSession(api.GetSessionRequest(session_id=nobody)),
        served.grpc.CloseSession(api.CloseSessionRequest(session_id=nobody)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        assert error_code(refused.value) == "session_unknown"
