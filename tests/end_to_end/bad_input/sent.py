"""What callers send here, and the limit that the platform sets to one message of theirs."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import numpy as np
import soundfile

from tests.end_to_end.platform import Running

MAX_MESSAGE_BYTES = 64 << 10
OPEN = {"type": "session.open"}
WORDLESS = {"type": "instruct", "text": " "}  # each is answered by an error, and the call goes on
LIVE = {"Accept": "text/event-stream"}


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
    headers, timeout = LIVE if live else {}, aiohttp.ClientTimeout(total=None)
    async with served.http.post(url, data=form, headers=headers, timeout=timeout) as response:
        yield response
