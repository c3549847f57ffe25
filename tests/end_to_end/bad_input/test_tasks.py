"""Tasks that cannot be done, over HTTP and gRPC: files, forms and uploads that are refused."""

import asyncio
import io
import struct
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import grpc
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from services.core.generated.soundflow.v1 import interaction_service_pb2 as api
from tests.end_to_end.bad_input.sent import task
from tests.end_to_end.platform import Running, running, told
from tests.end_to_end.requests import error_code
from tests.waiting import DEADLINE_S


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


# Files


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


# Forms


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
