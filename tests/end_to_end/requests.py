"""What callers send, and how they read server-sent events and errors of gRPC."""

import io
import json
from typing import Any

import aiohttp
import grpc
import numpy as np
import soundfile

from services.core.generated.soundflow.v1 import interaction_service_pb2 as api
from services.core.generated.soundflow.v1 import stream_pb2 as pb
from tests.end_to_end.platform import Event


def wav(*, seconds: float, channels: int = 1) -> bytes:
    """Return a WAV file of that length at 16 kHz."""
    file = io.BytesIO()
    samples = np.zeros((round(seconds * 16_000), channels), np.float32)
    soundfile.write(file, samples, 16_000, format="WAV", subtype="PCM_16")
    return file.getvalue()


def form(file: bytes, **spec: object) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("spec", json.dumps(spec), content_type="application/json")
    form.add_field("file", file, filename="recording.wav")
    return form


def opening(audio_format: api.AudioFormat | None = None, /, **spec: Any) -> api.StreamRequest:
    return api.StreamRequest(open=api.OpenSession(spec=pb.SessionSpec(**spec), format=audio_format))


def audio(data: bytes) -> api.StreamRequest:
    return api.StreamRequest(audio=api.AudioData(data=data))


def server_sent(body: str) -> list[tuple[str, Event]]:
    """Take server-sent events apart, but for comments."""
    events = []
    for block in body.strip().split("\n\n"):
        if block.startswith(":"):
            continue
        name, data = block.split("\n")
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


def error_code(error: grpc.aio.AioRpcError) -> object:
    return dict(error.trailing_metadata() or ()).get("soundflow-error")
