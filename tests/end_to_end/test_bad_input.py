"""What bad input gets, over each face; and a call beside it, which must not notice anything."""

import asyncio
import io
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
import grpc
import numpy as np
import pytest
import soundfile
from aiohttp import WSCloseCode
from numpy.typing import NDArray
from prometheus_client import REGISTRY

from services.core.generated.soundflow.v1 import interaction_service_pb2 as api
from services.core.generated.soundflow.v1 import interaction_service_pb2_grpc as rpc
from services.core.generated.soundflow.v1 import stream_pb2 as pb
from tests.end_to_end.places import MINUTES
from tests.end_to_end.platform import Running, neighbour, running, told, tone
from tests.end_to_end.wire import AT_ONCE, wire_to
from tests.waiting import DEADLINE_S

MAX_MESSAGE_BYTES = 64 << 10
OPEN = {"type": "session.open"}
WORDLESS = {"type": "instruct", "text": " "}  # each is answered by an error, and the call goes on


@pytest.fixture
async def served() -> AsyncIterator[Running]:
    """Run the platform with small limits, and a call that must not notice anything."""
    limits = {"max_message_bytes": MAX_MESSAGE_BYTES, "max_task_bytes": 1 << 20}
    async with running(**limits) as served, neighbour(served):
        yield served


LIVE = {"Accept": "text/event-stream"}


def open_request(
    audio: api.AudioFormat | None = None, *, abilities: list[Any] | None = None, model: str = ""
) -> api.StreamRequest:
    spec = pb.SessionSpec(abilities=abilities, model=model)
    return api.StreamRequest(open=api.OpenSession(spec=spec, format=audio))


def error_code(error: grpc.aio.AioRpcError) -> object:
    return dict(error.trailing_metadata() or ()).get("soundflow-error")


def wav(samples: NDArray[Any], *, subtype: str = "PCM_16") -> bytes:
    """Return samples as a WAV file at 16 kHz."""
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format="WAV", subtype=subtype)
    return file.getvalue()


def wav_header(*, rate_hz: int, channels: int) -> bytes:
    """Return a header that no library would write; 16 bit, its sizes unknown."""
    format_ = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * channels * 2, channels * 2, 16)
    size = struct.pack("<I", 0xFFFFFFFF)
    return b"RIFF" + size + b"WAVEfmt " + struct.pack("<I", 16) + format_ + b"data" + size


def silent_flac(*, hours: int) -> bytes:
    """Return hours of silence as a FLAC file, which takes little room."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 16_000, 1, format="FLAC", subtype="PCM_16") as flac:
        for _ in range(hours * 60):
            flac.write(np.zeros(60 * 16_000, np.int16))
    return file.getvalue()


@asynccontextmanager
async def task(
    served: Running, file: bytes, *, live: bool = False, **spec: object
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Post a task."""
    form = aiohttp.FormData()
    form.add_field("spec", json.dumps(spec))
    form.add_field("file", io.BytesIO(file), filename="recording.wav")
    url = f"{served.addresses.http}/v1/tasks"
    async with served.http.post(url, data=form, headers=LIVE if live else {}) as response:
        yield response


def opening(**audio: object) -> dict[str, object]:
    return {**OPEN, "audio": audio}


# WebSocket: what breaks the protocol ends the call.

REFUSED_AT_OPEN = {
    "audio before open": (tone(chunks=1), "no_open", "session.open"),
    "another message first": ({"type": "instruct", "text": "x"}, "no_open", "session.open"),
    "no JSON": ("{type: session.open", "bad_json", "JSON"),
    "JSON that is no object": ("[1, 2]", "bad_field", "object"),
    "no type": ({"instruction": "x"}, "unknown_type", "type"),
    "unknown type": ({"type": "session.start"}, "unknown_type", "session.start"),
    "unknown field": ({**OPEN, "colour": "red"}, "unknown_field", "session.open.colour"),
    "unknown field of audio": (opening(bits=16), "unknown_field", "session.open.audio.bits"),
    "wrong type of a field": (opening(channels="two"), "bad_field", "session.open.audio.channels"),
    "0 Hz": (opening(sample_rate_hz=0), "bad_rate", "0 Hz"),
    "7 channels": (opening(channels=7), "bad_channels", "7 channels"),
    "0 channels": (opening(channels=0), "bad_channels", "0 channels"),
    "unknown encoding": (opening(encoding="mp3"), "bad_field", "session.open.audio.encoding"),
    "unknown ability": ({**OPEN, "abilities": ["sing"]}, "unknown_ability", "'sing'"),
    "no language": ({**OPEN, "source_language": "Deutsch"}, "bad_language", "'Deutsch'"),
    "an endless instruction": (
        {**OPEN, "instruction": "listen " * 1000},
        "instruction_too_long",
        "4000",
    ),
    "unknown model": ({**OPEN, "model": "huge"}, "unknown_model", "'huge'"),
}


@pytest.mark.parametrize(
    ("first", "code", "named"), REFUSED_AT_OPEN.values(), ids=REFUSED_AT_OPEN.keys()
)
async def test_a_websocket_that_opens_wrongly_is_told_and_closed(
    served: Running, first: object, code: str, named: str
) -> None:
    async with served.connect() as stream:
        await stream.send(first)
        events = await stream.rest()
    assert [event["type"] for event in events] == ["error"]
    assert events[0]["code"] == code
    assert named in events[0]["message"]
    assert stream.socket.close_code == WSCloseCode.POLICY_VIOLATION


async def test_a_websocket_that_never_opens_is_closed() -> None:
    async with running(open_within_s=0.1) as served, served.connect() as stream:
        events = await stream.rest()
    assert [event["code"] for event in events] == ["no_open"]


BROKEN_LATER = {
    "second open": (OPEN, "second_open", WSCloseCode.POLICY_VIOLATION),
    "no JSON": ("nonsense", "bad_json", WSCloseCode.POLICY_VIOLATION),
    "unknown field": (
        {"type": "audio.end", "now": True},
        "unknown_field",
        WSCloseCode.POLICY_VIOLATION,
    ),
    "a text over the limit": (
        {"type": "instruct", "text": "x" * MAX_MESSAGE_BYTES},
        "message_too_large",
        WSCloseCode.MESSAGE_TOO_BIG,
    ),
    "a message over the limit": (
        bytes(MAX_MESSAGE_BYTES + 2),
        "message_too_large",
        WSCloseCode.MESSAGE_TOO_BIG,
    ),
}


@pytest.mark.parametrize(
    ("message", "code", "close_code"), BROKEN_LATER.values(), ids=BROKEN_LATER.keys()
)
async def test_a_websocket_call_that_breaks_the_protocol_ends_with_the_reason(
    served: Running, message: object, code: str, close_code: int
) -> None:
    async with served.stream() as stream:
        await stream.until("session.opened")
        await stream.send(message)
        events = await stream.rest()
    assert [event["code"] for event in stream.of("error")] == [code]
    assert (events[-1]["type"], events[-1]["reason"]) == ("session.closed", "error")
    assert stream.socket.close_code == close_code


async def test_a_message_far_over_the_limit_is_not_even_read(served: Running) -> None:
    async with served.stream() as stream:
        session_id = (await stream.until("session.opened"))["session_id"]
        await stream.send(bytes(10 * MAX_MESSAGE_BYTES))
        await stream.rest()
    assert stream.socket.close_code == WSCloseCode.MESSAGE_TOO_BIG
    assert await served.closed_for(session_id) == "client_gone"


# WebSocket: audio that cannot be used is told of, and the call goes on.


async def test_samples_that_are_no_numbers_are_refused_and_the_next_ones_heard(
    served: Running,
) -> None:
    samples = np.zeros(6400, np.float32)
    samples[100] = np.nan
    async with served.stream(audio={"encoding": "pcm_f32le"}) as stream:
        await stream.send(samples.tobytes())
        error = await stream.until("error")
        await stream.send(np.zeros(6400, np.float32).tobytes())
        await stream.until("decision", chunk=0)
        await stream.send({"type": "audio.end"})
        events = await stream.rest()
    assert error["code"] == "bad_samples"
    assert "sample 100" in error["message"]
    assert events[-1]["reason"] == "complete"


async def test_an_odd_byte_at_the_end_is_told_of_and_costs_nothing_else(served: Running) -> None:
    async with served.stream() as stream:
        await stream.send(tone(chunks=1) + b"\x00")
        await stream.send({"type": "audio.end"})
        events = await stream.rest()
    assert [event["code"] for event in stream.of("error")] == ["odd_length"]
    assert events[-1] == events[-1] | {"reason": "complete", "chunks": 2}


async def test_a_timestamp_from_another_clock_is_refused(served: Running) -> None:
    async with served.stream() as stream:
        for timestamp_ms in (0, 10**9):
            await stream.send({"type": "audio.timestamp", "timestamp_ms": timestamp_ms})
            await stream.send(tone(chunks=1))
        error = await stream.until("error")
        await stream.send({"type": "audio.end"})
        events = await stream.rest()
    assert error["code"] == "bad_timestamp"
    assert events[-1] == events[-1] | {"reason": "complete", "chunks": 2}


async def test_an_instruction_without_words_is_refused(served: Running) -> None:
    async with served.stream() as stream:
        await stream.send({"type": "instruct", "text": "  "})
        assert (await stream.until("error"))["code"] == "empty_instruction"
        await stream.send({"type": "audio.end"})
        assert (await stream.rest())[-1]["reason"] == "complete"


async def test_audio_after_the_end_is_not_heard(served: Running) -> None:
    async with served.stream() as stream:
        await stream.until("session.opened")
        await stream.send(tone(chunks=1))
        await stream.send({"type": "audio.end"})
        await stream.send(tone(chunks=1))
        events = await stream.rest()
    assert {event["code"] for event in stream.of("error")} <= {"audio_after_end"}
    assert events[-1] == events[-1] | {"reason": "complete", "chunks": 2}


async def test_a_call_without_audio_is_one_empty_chunk(served: Running) -> None:
    async with served.stream() as stream:
        await stream.send(b"")
        await stream.send({"type": "audio.end"})
        events = await stream.rest()
    assert [event["decision"] for event in stream.of("decision")] == ["silent"]
    assert events[-1] == events[-1] | {"reason": "complete", "chunks": 1}


# Silence


async def test_a_sender_that_sends_nothing_is_heard_as_silent_until_it_sends_again() -> None:
    async with running(quiet_after_ms=400) as served, neighbour(served), served.stream() as stream:
        await stream.send(tone(chunks=1.5))
        await stream.until("decision", chunk=4)  # 2 s in, though 0.6 s were sent
        assert stream.of("gap") == []  # it is not known yet how long it lasts
        await stream.send(tone(chunks=1))
        gap = await stream.until("gap")
        await stream.send({"type": "audio.end"})
        events = await stream.rest()
    assert gap["start_ms"] == 600
    assert gap["end_ms"] >= 2000
    decided = [event["chunk"] for event in stream.of("decision")]
    assert decided == sorted(set(decided))
    assert len(stream.of("gap")) == 1
    assert events[-1]["reason"] == "complete"


async def test_a_sender_that_stays_silent_is_closed_as_idle() -> None:
    async with running(idle_close_s=0.2) as served, served.stream() as stream:
        events = await stream.rest()
    assert events[-1]["reason"] == "idle"
    assert stream.socket.close_code == WSCloseCode.OK


@MINUTES
async def test_an_hour_of_silence_is_nine_thousand_decisions(served: Running) -> None:
    async with task(served, silent_flac(hours=1), live=True) as response:
        decided = silent = 0
        async for line in response.content:
            if line.startswith(b'data: {"type": "decision"'):
                decided += 1
            if b'"done_ms": 3600000' in line:
                silent += 1
    assert decided == 9001  # the last one holds no sample, and says that the hour is over
    assert silent >= 1


# gRPC

REFUSED_CALLS: dict[str, tuple[list[api.StreamRequest], str]] = {
    "nothing": ([], "no_open"),
    "an empty request": ([api.StreamRequest()], "no_open"),
    "audio before open": ([api.StreamRequest(audio=api.AudioData(data=b"\0\0"))], "no_open"),
    "an unknown ability": ([open_request(abilities=[99])], "unknown_ability"),
    "an unknown model": ([open_request(model="huge")], "unknown_model"),
    "less than 0 Hz": ([open_request(api.AudioFormat(sample_rate_hz=-1))], "bad_rate"),
    "7 channels": ([open_request(api.AudioFormat(channels=7))], "bad_channels"),
    "an unknown encoding": (
        [open_request(api.AudioFormat(encoding=cast(api.Encoding, 99)))],
        "bad_message",
    ),
    "an unknown layout": (
        [open_request(api.AudioFormat(layout=cast(api.Channels, 99)))],
        "bad_message",
    ),
    "a second open": ([open_request(), open_request()], "second_open"),
    "an empty request later": ([open_request(), api.StreamRequest()], "unknown_type"),
    "audio over the limit": (
        [open_request(), api.StreamRequest(audio=api.AudioData(data=bytes(MAX_MESSAGE_BYTES + 2)))],
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
        await told(served.grpc.Stream(iter([open_request(), large])))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_bad_audio_over_grpc_is_told_of_and_the_call_goes_on(served: Running) -> None:
    requests = [
        open_request(api.AudioFormat(encoding=api.ENCODING_PCM_F32LE)),
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


# Tasks

BAD_FILES = {
    "empty": (b"", {}, "empty_audio"),
    "a WAV without samples": (wav(np.zeros(0, np.float32)), {}, "empty_audio"),
    "text named .wav": (b"These are notes, not audio.\n" * 50, {}, "not_audio"),
    "0 Hz": (wav_header(rate_hz=0, channels=1) + bytes(3200), {}, "bad_rate"),
    "7 channels": (wav_header(rate_hz=16_000, channels=7) + bytes(14_000), {}, "bad_channels"),
    "samples that are no numbers": (
        wav(np.full(8000, np.nan, np.float32), subtype="FLOAT"),
        {},
        "bad_samples",
    ),
    "over the limit": (bytes((1 << 20) + 1), {}, "file_too_large"),
    "an unknown ability": (wav(np.zeros(8000)), {"abilities": ["sing"]}, "unknown_ability"),
    "an unknown model": (wav(np.zeros(8000)), {"model": "huge"}, "unknown_model"),
    "an unknown field": (wav(np.zeros(8000)), {"colour": "red"}, "unknown_field"),
    "an unknown layout": (wav(np.zeros(8000)), {"layout": "quad"}, "bad_field"),
}


@pytest.mark.parametrize(("file", "spec", "code"), BAD_FILES.values(), ids=BAD_FILES.keys())
async def test_a_task_that_cannot_be_done_says_why(
    served: Running, file: bytes, spec: dict[str, Any], code: str
) -> None:
    async with task(served, file, **spec) as response:
        answer = await response.json()
    assert response.status == (413 if code == "file_too_large" else 400)
    assert answer["error"]["code"] == code
    assert answer["error"]["message"]


@pytest.mark.parametrize(
    ("file", "code"),
    [(file, code) for file, spec, code in BAD_FILES.values() if not spec],
    ids=[name for name, (_, spec, _) in BAD_FILES.items() if not spec],
)
async def test_a_grpc_task_that_cannot_be_done_says_the_same(
    served: Running, file: bytes, code: str
) -> None:
    requests = [api.RunTaskRequest(open=api.OpenTask())]
    requests += [api.RunTaskRequest(data=file[i : i + 50_000]) for i in range(0, len(file), 50_000)]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await told(served.grpc.RunTask(iter(requests)))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_code(refused.value) == code


async def test_a_truncated_wav_is_heard_as_far_as_it_goes_and_told_of(served: Running) -> None:
    whole = wav(np.zeros(16_000))
    async with task(served, whole[: len(whole) // 2]) as response:
        answer = await response.json()
    errors = [event for event in answer["events"] if event["type"] == "error"]
    assert response.status == 200
    assert [error["code"] for error in errors] == ["truncated"]
    assert 480 <= answer["duration_ms"] <= 500
    assert answer["events"][-1]["reason"] == "complete"


async def test_a_form_that_is_none_or_lacks_the_file_is_refused(served: Running) -> None:
    url = f"{served.addresses.http}/v1/tasks"
    no_file, odd_part = aiohttp.FormData({"spec": "{}"}), aiohttp.FormData({"audio": "x"})
    for form in (no_file, odd_part):
        form._is_multipart = True
    codes = []
    for body in (b"RIFF", no_file, odd_part):
        async with served.http.post(url, data=body) as response:
            assert response.status == 400
            codes.append((await response.json())["error"]["code"])
    assert codes == ["bad_form", "no_file", "unknown_field"]


async def test_an_upload_that_stalls_is_refused() -> None:
    async def stalling() -> AsyncIterator[bytes]:
        yield b"--b\r\nContent-Disposition: form-data; name=file\r\n\r\nRIFF"
        await asyncio.sleep(DEADLINE_S)

    async with running(open_within_s=0.1) as served:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        url = f"{served.addresses.http}/v1/tasks"
        async with served.http.post(url, data=stalling(), headers=headers) as response:
            answer = await response.json()
    assert response.status == 400
    assert answer["error"]["code"] == "upload_stalled"


async def test_a_grpc_task_must_begin_with_open_and_open_once(served: Running) -> None:
    open_task = api.RunTaskRequest(open=api.OpenTask())
    for requests, code in (
        ([], "no_open"),
        ([api.RunTaskRequest(data=b"RIFF")], "no_open"),
        ([open_task, open_task], "second_open"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await told(served.grpc.RunTask(iter(requests)))
        assert error_code(refused.value) == code


async def test_a_grpc_call_that_never_opens_is_ended() -> None:
    async with running(open_within_s=0.1) as served:
        call = served.grpc.Stream()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
    assert error_code(refused.value) == "no_open"


FORMS = {
    "no boundary": ("multipart/form-data", b"--b\r\n", "bad_form"),
    "cut off": ("multipart/form-data; boundary=b", b"--b\r\nContent-Disp", "bad_form"),
    "another boundary": ("multipart/form-data; boundary=b", b"--c\r\n\r\n", "bad_form"),
    "a form in a form": (
        "multipart/form-data; boundary=b",
        b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n--b--\r\n",
        "bad_form",
    ),
    "an endless spec": (
        "multipart/form-data; boundary=b",
        b"--b\r\nContent-Disposition: form-data; name=spec\r\n\r\n" + b" " * 70_000 + b"\r\n--b--",
        "message_too_large",
    ),
    "two files": (
        "multipart/form-data; boundary=b",
        b"--b\r\nContent-Disposition: form-data; name=file\r\n\r\nRIFF\r\n" * 2 + b"--b--",
        "unknown_field",
    ),
}


@pytest.mark.parametrize(("content_type", "body", "code"), FORMS.values(), ids=FORMS.keys())
async def test_a_form_that_cannot_be_read_is_refused(
    served: Running, content_type: str, body: bytes, code: str
) -> None:
    url, headers = f"{served.addresses.http}/v1/tasks", {"Content-Type": content_type}
    async with served.http.post(url, data=body, headers=headers) as response:
        answer = await response.json()
    assert response.status == 400
    assert answer["error"]["code"] == code


async def test_every_fault_is_counted_once_by_its_code(served: Running) -> None:
    def counted(code: str) -> float:
        name, labels = "soundflow_request_errors_total", {"code": code}
        return REGISTRY.get_sample_value(name, labels) or 0.0

    codes = ("second_open", "no_open", "unknown_model", "empty_instruction")
    before = {code: counted(code) for code in codes}
    async with served.stream() as stream:
        for message in (WORDLESS, OPEN):
            await stream.send(message)
        await stream.rest()
    for requests in ([open_request(), open_request()], [], [open_request(model="huge")]):
        with pytest.raises(grpc.aio.AioRpcError):
            await told(served.grpc.Stream(iter(requests)))
    async with task(served, b"", model="huge") as response:
        assert response.status == 400
    grown = {code: counted(code) - before[code] for code in codes}
    assert grown == {"second_open": 2, "no_open": 1, "unknown_model": 1, "empty_instruction": 1}


# Callers that vanish, or do not read


@pytest.mark.parametrize("how", ["cut", "go_dead"])
async def test_a_websocket_caller_that_vanishes_is_closed_and_forgotten(how: str) -> None:
    async with (
        running(ping_interval_s=0.5) as served,
        neighbour(served),
        wire_to(served.addresses.http) as wire,
        aiohttp.ClientSession() as http,
    ):
        socket = await http.ws_connect(f"http://{wire.address}/v1/stream", timeout=AT_ONCE)
        await socket.send_json(OPEN)
        session_id = (await socket.receive_json())["session_id"]
        await socket.send_bytes(tone(chunks=7))
        getattr(wire, how)()
        assert await served.closed_for(session_id) == "client_gone"
        await served.all_freed(but=1)
        await socket.close()


@pytest.mark.parametrize("how", ["cut", "go_dead"])
async def test_a_grpc_caller_that_vanishes_is_closed_and_forgotten(how: str) -> None:
    async with (
        running(ping_interval_s=0.5) as served,
        neighbour(served),
        wire_to(served.addresses.grpc) as wire,
        grpc.aio.insecure_channel(wire.address) as channel,
    ):
        call = rpc.InteractionServiceStub(channel).Stream()  # type: ignore[no-untyped-call]
        await call.write(open_request())
        session_id = (await call.read()).session_id
        await call.write(api.StreamRequest(audio=api.AudioData(data=tone(chunks=4))))
        getattr(wire, how)()
        assert await served.closed_for(session_id) == "client_gone"
        await served.all_freed(but=1)
        call.cancel()


async def test_a_task_whose_caller_is_cut_off_is_given_up() -> None:
    await vanish_from_a_task("cut")


@MINUTES  # until the buffers are full of events
async def test_a_task_whose_caller_goes_dead_is_given_up() -> None:
    await vanish_from_a_task("go_dead")


async def vanish_from_a_task(how: str) -> None:
    async with (
        running(ping_interval_s=0.5) as served,
        neighbour(served),
        wire_to(served.addresses.http) as wire,
        aiohttp.ClientSession() as http,
    ):
        url = f"http://{wire.address}/v1/tasks"
        form = aiohttp.FormData()
        form.add_field("file", io.BytesIO(silent_flac(hours=1)), filename="silence.flac")
        async with http.post(url, data=form, headers=LIVE) as response:
            assert await response.content.readline() == b"event: session.opened\n"
            opened = json.loads((await response.content.readline()).removeprefix(b"data: "))
            getattr(wire, how)()
            # A dead caller shows once the buffers towards it are full, however long that takes.
            closed = await served.closed_for(opened["session_id"], within_s=120)
            assert closed == "client_gone"
            await served.all_freed(but=1)


async def test_a_websocket_caller_that_does_not_read_is_closed_with_the_reason() -> None:
    async with (
        running(outbox_events=10, read_grace_s=0.2) as served,
        neighbour(served),
        wire_to(served.addresses.http) as wire,
        aiohttp.ClientSession() as http,
    ):
        socket = await http.ws_connect(f"http://{wire.address}/v1/stream", timeout=AT_ONCE)
        await socket.send_json(OPEN)
        session_id = (await socket.receive_json())["session_id"]
        wire.go_deaf()
        async with asyncio.timeout(DEADLINE_S):
            while not wire.server_hung_up:
                await socket.send_json(WORDLESS)
                await asyncio.sleep(0)
        assert await served.closed_for(session_id) == "client_too_slow"
        await served.all_freed(but=1)
        await socket.close()


async def test_a_grpc_caller_that_does_not_read_is_closed_and_can_still_learn_why() -> None:
    async with running(outbox_events=10) as served, neighbour(served), flooded_grpc(served) as call:
        await served.all_freed(but=1)
        last = await call.read()
        while (event := await call.read()) is not grpc.aio.EOF:
            last = event
    assert last.session_closed.reason == "client_too_slow"


@asynccontextmanager
async def flooded_grpc(served: Running) -> AsyncIterator[Any]:
    """Open a call and ask for events without reading them, until the session is closed for it."""
    small_window = [("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(served.addresses.grpc, small_window) as channel:
        call = rpc.InteractionServiceStub(channel).Stream()  # type: ignore[no-untyped-call]
        await call.write(open_request())
        session_id = (await call.read()).session_id
        while not (await served.ingestion.record(session_id)).closed:
            await call.write(api.StreamRequest(instruction=" "))
        assert (await served.ingestion.record(session_id)).closed == "client_too_slow"
        yield call
