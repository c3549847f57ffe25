"""Decoder replicas on two real Triton servers: killed, frozen, started anew, and left alone."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import psutil
import pytest

from services.inference.port import ReplicaLost
from services.inference.triton_decoder import TritonDecoder
from services.inference.triton_replicas import TritonDecoderPool
from soundflow.engine_session import Heard, NotOpen
from soundflow.features import Features
from soundflow.interaction import SessionSpec
from stack.ports import free_ports
from stack.triton import TritonServer
from tests.services.inference.triton_servers import freeze, metric, name_of, reach, thaw
from tests.waiting import DEADLINE_S, until

SPEC = SessionSpec("Listen")
SESSIONS = [f"session {number}" for number in range(8)]

pytestmark = pytest.mark.triton


@pytest.fixture
async def pool(whole: list[TritonServer]) -> AsyncIterator[TritonDecoderPool]:
    config = reach(*whole, decoder_ping_s=0.2, decoder_silent_s=1, decoder_patience_s=30)
    async with TritonDecoderPool(config) as pool:
        yield pool


def features(name: str, index: int, **tensors: np.ndarray) -> Features:
    return Features(name, index, tensors or {"level": np.zeros(1, np.float32)})


def replica(pool: TritonDecoderPool, server: TritonServer) -> TritonDecoder:
    found = pool.at(name_of(server))
    assert isinstance(found, TritonDecoder)
    return found


async def lost_within(calls: list[asyncio.Future[Heard]], seconds: float) -> None:
    done, _ = await asyncio.wait(calls, timeout=seconds)
    assert len(done) == len(calls)
    for call in done:
        assert isinstance(call.exception(), ReplicaLost)


async def pending(pool: TritonDecoderPool, server: TritonServer) -> list[asyncio.Future[Heard]]:
    """Freeze a server, and call it."""
    decoder = replica(pool, server)
    await decoder.open("a", SPEC)
    await asyncio.to_thread(freeze, server)
    return [asyncio.ensure_future(decoder.hear(features("a", index))) for index in range(10)]


async def test_pending_calls_are_lost_with_a_killed_server(
    pool: TritonDecoderPool, whole: list[TritonServer]
) -> None:
    one, two = whole
    before = {name: (await pool.ranked(name))[0] for name in SESSIONS}
    assert set(before.values()) == {name_of(one), name_of(two)}
    calls = await pending(pool, one)
    await asyncio.to_thread(one.kill)
    await lost_within(calls, 1)
    for name in SESSIONS:
        assert (await pool.ranked(name))[0] == name_of(two)
    with pytest.raises(ReplicaLost, match=name_of(one)):
        await pool.at(name_of(one)).open("a", SPEC)
    assert await pool.at(name_of(two)).open("a", SPEC) == 0
    await asyncio.to_thread(one.start)
    await until(lambda: replica(pool, one).alive)
    assert {name: (await pool.ranked(name))[0] for name in SESSIONS} == before
    assert await pool.at(name_of(one)).open("a", SPEC) == 0


async def test_a_server_that_hangs_is_lost_after_a_while(
    pool: TritonDecoderPool, whole: list[TritonServer]
) -> None:
    one, _ = whole
    calls = await pending(pool, one)
    try:
        await lost_within(calls, 5)
    finally:
        thaw(one)
    await until(lambda: replica(pool, one).alive)
    # It has its sessions still, and heard what it was sent, or dropped it with the stream.
    assert await pool.at(name_of(one)).open("a", SPEC) in range(11)


async def test_a_server_whose_model_died_is_lost_and_ends(
    pool: TritonDecoderPool, whole: list[TritonServer]
) -> None:
    one, _ = whole
    children = psutil.Process(one.pid).children()
    [model] = [child for child in children if "decoder/1/model.py" in " ".join(child.cmdline())]
    model.kill()
    await until(lambda: not replica(pool, one).alive)
    # It ends as a whole, which is what its keeper waits for.
    await until(lambda: psutil.Process(one.pid).status() == psutil.STATUS_ZOMBIE)


async def test_eight_sessions_at_once_on_two_servers(
    pool: TritonDecoderPool, whole: list[TritonServer]
) -> None:
    async def session(name: str) -> None:
        decoder = pool.at((await pool.ranked(name))[0])
        await decoder.open(name, SPEC)
        for index in range(20):
            heard = await asyncio.wait_for(decoder.hear(features(name, index)), DEADLINE_S)
            assert (heard.decision.session_id, heard.decision.index) == (name, index)
            for start in heard.decision.turns:
                texts = [piece.text async for piece in decoder.speak(name, start.turn)]
                assert texts == [f"chunk {index}", ""]
        await decoder.close(name)

    await asyncio.gather(*(session(name) for name in SESSIONS))


async def test_tensors_that_the_model_does_not_take_cost_nobody_else_anything(
    pool: TritonDecoderPool, whole: list[TritonServer]
) -> None:
    decoder = replica(pool, whole[0])
    await decoder.open("b", SPEC)
    bad = [
        features("b", 0, colour=np.zeros(1, np.float32)),
        features("b", 0, level=np.zeros(1, np.int8)),
        features("b", 0, level=np.zeros((1, 2), np.float32)),
    ]
    answers = [decoder.hear(each) for each in (*bad, features("b", 0))]
    for answer in answers[:-1]:
        with pytest.raises(ValueError, match="tensor"):
            await answer
    assert (await answers[-1]).decision.index == 0
    assert decoder.alive
    await decoder.close("b")


async def test_a_call_that_cannot_be_written_costs_a_stream_and_not_the_replica(
    pool: TritonDecoderPool, whole: list[TritonServer]
) -> None:
    decoder = replica(pool, whole[0])
    with pytest.raises(ReplicaLost):
        await asyncio.wait_for(decoder.instruct("c", "half a character: \ud800"), DEADLINE_S)
    await until(lambda: not decoder.alive)
    await until(lambda: decoder.alive)
    assert await decoder.open("c", SPEC) == 0
    await decoder.close("c")


async def test_sessions_opened_and_closed_leave_nothing(
    pool: TritonDecoderPool, whole: list[TritonServer]
) -> None:
    one, _ = whole
    decoder = replica(pool, one)

    async def come_and_go(rounds: int) -> None:
        for start in range(0, rounds, 10):
            names = [f"guest {number}" for number in range(start, start + 10)]
            await asyncio.gather(*(decoder.open(name, SPEC) for name in names))
            await asyncio.gather(*(decoder.hear(features(name, 0)) for name in names))
            await asyncio.gather(*(decoder.close(name) for name in names))

    def memory_mib() -> float:
        process = psutil.Process(one.pid)
        family = [process, *process.children(recursive=True)]
        return sum(each.memory_info().rss for each in family) / 2**20

    await come_and_go(100)
    before = memory_mib()
    await come_and_go(500)
    assert memory_mib() - before < 5
    await until(lambda: asyncio.to_thread(holds, one, "sessions", 0))
    await until(lambda: asyncio.to_thread(holds, one, "calls", 0))


def holds(server: TritonServer, kind: str, count: int) -> bool:
    return metric(server, f"soundflow_decoder_{kind}{{") == count


async def test_a_replica_that_was_never_there_is_lost(pool: TritonDecoderPool) -> None:
    [port] = free_ports(1)
    nobody = pool.at(f"127.0.0.1:{port}")
    with pytest.raises(ReplicaLost):
        await asyncio.wait_for(nobody.hear(features("a", 0)), DEADLINE_S)


async def test_a_session_of_another_life_is_not_open(
    pool: TritonDecoderPool, whole: list[TritonServer]
) -> None:
    with pytest.raises(NotOpen):
        await pool.at(name_of(whole[0])).hear(features("of another life", 0))
