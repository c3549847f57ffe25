"""`soundflow listen` over a network that breaks."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from services.core.events import CloseReason
from tests.end_to_end.cli.command import SOUNDFLOW
from tests.end_to_end.platform import Running, running
from tests.end_to_end.wire import Wire, wire_to
from tests.waiting import DEADLINE_S, until

CHUNKS = 14  # 5.6 s


@pytest.fixture
def long_call(tmp_path: Path) -> Path:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(CHUNKS * 6400, np.float32), 16_000)
    return path


@pytest.fixture
async def served() -> AsyncIterator[Running]:
    async with running(resume_within_s=DEADLINE_S) as served:
        yield served


async def listen(*args: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        SOUNDFLOW,
        "listen",
        *args,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )


async def read_until(process: asyncio.subprocess.Process, chunk: int) -> list[dict[str, Any]]:
    assert process.stdout
    events: list[dict[str, Any]] = []
    async with asyncio.timeout(DEADLINE_S):
        while not events or events[-1].get("chunk", -1) < chunk:
            events.append(json.loads(await process.stdout.readline()))
    return events


async def rest(process: asyncio.subprocess.Process) -> list[dict[str, Any]]:
    stdout, stderr = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    assert (process.returncode, stderr) == (0, b"")
    return [json.loads(line) for line in stdout.splitlines()]


def check(events: list[dict[str, Any]], *, resumed: int) -> None:
    decided = [event["chunk"] for event in events if event["type"] == "decision"]
    assert decided == sorted(set(decided))
    assert decided[-1] == CHUNKS
    assert [event["type"] for event in events].count("session.resumed") == resumed
    ids = [event["id"] for event in events if "id" in event]
    assert ids == sorted(set(ids))
    assert events[-1]["type"] == "session.closed"
    assert (events[-1]["reason"], events[-1]["chunks"]) == ("complete", CHUNKS + 1)


@pytest.mark.parametrize("how", [Wire.cut, Wire.go_dead])
async def test_a_connection_that_breaks_is_made_again(
    served: Running, long_call: Path, how: Any
) -> None:
    async with (
        wire_to(served.addresses.http) as first,
        wire_to(served.addresses.http) as second,
    ):
        servers = [f"http://{wire.address}" for wire in (first, second)]
        options = [option for server in servers for option in ("--server", server)]
        process = await listen(str(long_call), "--json", *options)
        events = await read_until(process, 4)
        first.refuse()
        how(first)
        events += await rest(process)
    check(events, resumed=1)


async def test_a_server_that_hands_over_is_called_again(served: Running, long_call: Path) -> None:
    process = await listen(str(long_call), "--json", "--server", served.addresses.http)
    events = await read_until(process, 4)
    await served.ingestion.hand_over()
    events += await read_until(process, 9)
    await served.ingestion.hand_over()
    events += await rest(process)
    check(events, resumed=2)


async def test_a_session_that_was_taken_away_is_not_taken_back(
    served: Running, long_call: Path
) -> None:
    process = await listen(str(long_call), "--json", "--server", served.addresses.http)
    [session_id] = {event["session_id"] for event in await read_until(process, 1)}
    await served.ingestion.let_go(session_id, epoch=1)
    _, stderr = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    assert process.returncode == 1
    assert b"goes on elsewhere" in stderr
    record = await served.ingestion.record(session_id)
    assert record.epoch == 0  # nobody has resumed it
    await until(lambda: served.ingestion.open_sessions == 0)
    await served.ingestion.close(session_id, CloseReason.CLOSED_BY_CALLER)
