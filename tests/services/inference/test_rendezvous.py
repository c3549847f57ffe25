"""Which replica a session belongs on, and what happens where there is none."""

import asyncio
import socket
import time
from collections import Counter
from typing import Never

import pytest

from services.core.errors import Unavailable
from services.inference import triton_stream
from services.inference.config import InferenceConfig
from services.inference.triton_decoder import TritonDecoder
from services.inference.triton_replicas import TritonDecoderPool, rendezvous
from services.inference.triton_stream import MODEL
from services.inference.triton_versions import ServedVersions
from stack.ports import free_ports
from tests.waiting import DEADLINE_S, until


async def test_unavailable_when_no_decoder_answers() -> None:
    [port] = free_ports(1)
    config = InferenceConfig(decoder_addresses=f"127.0.0.1:{port}", decoder_patience_s=0.3)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="no decoder"):
        async with TritonDecoderPool(config):
            pass
    assert time.monotonic() - began < 5


async def test_a_failure_that_nobody_foresaw_costs_a_stream_and_not_the_replica(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = 0

    def connect(address: str) -> Never:
        nonlocal tried
        tried += 1
        raise TypeError(address)

    monkeypatch.setattr(triton_stream, "connect", connect)
    running = asyncio.create_task(TritonDecoder("127.0.0.1:9/1", InferenceConfig()).run())
    await until(lambda: tried > 1 or running.done())
    assert not running.done()
    running.cancel()


async def test_nobody_waits_for_a_server_that_is_not_asked_any_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.setblocking(False)
        server = ServedVersions(f"127.0.0.1:{mute.getsockname()[1]}", MODEL, lambda: None)
        watch = asyncio.create_task(server.watch(every_s=1, timeout_s=DEADLINE_S))
        connection, _ = await asyncio.get_running_loop().sock_accept(mute)
        watch.cancel()
        await asyncio.wait_for(server.asked.wait(), DEADLINE_S)
        connection.close()


def test_sessions_are_spread_and_only_those_of_a_lost_replica_move() -> None:
    replicas = [f"10.0.0.{number}:8001" for number in range(4)]
    sessions = [f"session {number}" for number in range(2000)]
    before = {session: rendezvous(session, replicas)[0] for session in sessions}
    counts = Counter(before.values())
    assert all(400 < counts[each] < 600 for each in replicas)
    after = {session: rendezvous(session, replicas[1:])[0] for session in sessions}
    assert all(after[s] == before[s] for s in sessions if before[s] != replicas[0])
