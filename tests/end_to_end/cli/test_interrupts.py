import asyncio
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from tests.end_to_end.cli.command import (
    SOUNDFLOW,
    TIMEOUT_S,
    Platform,
    events_of,
    next_line,
    start,
)
from tests.end_to_end.places import NO_PLATFORM, SERVE


@NO_PLATFORM
def test_a_reader_that_goes_away_leaves_no_trace(call: Path) -> None:
    with start("task", str(call), "--model", "null", "--json") as task:
        assert task.stdout is not None
        assert task.stderr is not None
        task.stdout.close()  # as `| head` does
        assert task.stderr.read() == ""

    assert task.returncode == 128 + signal.SIGPIPE


def test_an_interrupt_ends_live_audio_and_hears_the_rest(server: str, long_call: Path) -> None:
    listening = start("listen", str(long_call), "--server", server, "--json")
    first = next_line(listening) + next_line(listening)
    listening.send_signal(signal.SIGINT)
    rest, stderr = listening.communicate(timeout=TIMEOUT_S)

    assert (listening.returncode, stderr) == (0, "")
    last = events_of(first + rest)[-1]
    assert (last["type"], last["reason"]) == ("session.closed", "complete")


@NO_PLATFORM
async def test_a_second_interrupt_does_not_wait_for_the_rest(long_call: Path) -> None:
    """The server here hears the end of the audio, and never says anything about it."""
    listening: asyncio.subprocess.Process

    async def stream(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()  # the open message
        await socket.receive()  # the first audio
        listening.send_signal(signal.SIGINT)
        async for message in socket:
            if message.type is WSMsgType.TEXT:  # the audio's end
                listening.send_signal(signal.SIGINT)
        return socket

    app = web.Application()
    app.add_routes([web.get("/v1/stream", stream)])
    async with TestServer(app) as server:
        listening = await asyncio.create_subprocess_exec(
            *(SOUNDFLOW, "listen", str(long_call), "--server", f"http://127.0.0.1:{server.port}"),
            stderr=subprocess.PIPE,
        )
        _, stderr = await asyncio.wait_for(listening.communicate(), TIMEOUT_S)

    assert (listening.returncode, stderr) == (130, b"")


@NO_PLATFORM
def test_an_interrupt_ends_a_task_with_130(tmp_path: Path) -> None:
    hours = tmp_path / "night.flac"
    soundfile.write(hours, np.zeros(8_000 * 3600 * 3, np.int16), 8_000)
    task = start("task", str(hours), "--model", "null", "--json")
    next_line(task)
    task.send_signal(signal.SIGINT)
    _, stderr = task.communicate(timeout=TIMEOUT_S)

    assert (task.returncode, stderr) == (130, "")


@SERVE
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_cleanly(number: signal.Signals) -> None:
    assert Platform().stop(number) == (0, "")
