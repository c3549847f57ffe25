"""Versions of the null model on a real Triton server: one takes over from another while it runs."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest

from services.inference.port import ReplicaLost
from services.inference.rollout import RolloutFailed, roll_out
from services.inference.triton_encoder import TritonEncoder
from services.inference.triton_replicas import TritonDecoderPool
from soundflow.audio import CHUNK_SAMPLES, Chunk
from soundflow.features import Features
from soundflow.interaction import SessionSpec
from stack.triton import TritonServer
from tests.services.inference.triton_servers import add_version, name_of, reach, versioned
from tests.waiting import until

pytestmark = pytest.mark.triton

SPEC = SessionSpec("Listen")
PCM = np.zeros(CHUNK_SAMPLES, np.float32)
QUICK_PING_S = 0.1


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TritonServer]:
    with versioned(tmp_path) as server:
        yield server


@pytest.fixture
async def pool(server: TritonServer) -> AsyncIterator[TritonDecoderPool]:
    async with TritonDecoderPool(reach(server, decoder_ping_s=QUICK_PING_S)) as pool:
        yield pool


@pytest.fixture
async def encoder(server: TritonServer) -> AsyncIterator[TritonEncoder]:
    async with TritonEncoder(reach(server)) as encoder:
        yield encoder


async def heard(pool: TritonDecoderPool, replica: str, features: Features) -> int:
    """Have a replica hear a chunk of an open session; return its model's version."""
    decoder = pool.at(replica)
    assert (await decoder.hear(features)).decision.index == features.index
    return decoder.info.version


async def test_both_versions_run_until_the_older_one_is_taken_away(
    server: TritonServer, pool: TritonDecoderPool, encoder: TritonEncoder
) -> None:
    old, new = name_of(server, 1), name_of(server, 2)
    assert await pool.ranked("a") == [old]
    await pool.at(old).open("a", SPEC)
    features, state = await encoder.encode(Chunk("a", 0, PCM), encoder.initial())
    assert features.version == 1
    assert await heard(pool, old, features) == 1
    add_version(server, 2)
    beside = asyncio.Event()

    def report(line: str) -> None:
        if line.startswith("encoder") and "beside" in line:
            beside.set()

    rollout = asyncio.create_task(roll_out(reach(server), 2, report, settle_s=3))
    await beside.wait()
    await until(lambda: pool.successor(old) == new)
    assert await pool.ranked("a") == [new]
    features, _ = await encoder.encode(Chunk("a", 1, PCM), state)
    assert features.version == 2
    # The older one has its session still, whatever was loaded beside it.
    assert await heard(pool, old, features) == 1
    await pool.at(new).open("b", SPEC)
    assert await heard(pool, new, Features("b", 0, features.tensors)) == 2
    await rollout
    with pytest.raises(ReplicaLost):
        await pool.at(old).hear(Features("a", 2, features.tensors))
    assert await heard(pool, new, Features("b", 1, features.tensors)) == 2
    assert pool.info.version == 2


async def test_a_version_that_cannot_be_loaded_changes_nothing(
    server: TritonServer, pool: TritonDecoderPool
) -> None:
    old = name_of(server, 1)
    await pool.at(old).open("a", SPEC)
    level = {"level": np.zeros(1, np.float32)}
    assert await heard(pool, old, Features("a", 0, level)) == 1
    add_version(server, 2)
    (server.repository / "encoder" / "2" / "model.py").write_text("raise OSError('no weights')")
    with pytest.raises(RolloutFailed, match="no weights"):
        await roll_out(reach(server), 2, settle_s=0)
    assert await heard(pool, old, Features("a", 1, level)) == 1
    await until(lambda: pool.successor(old) is None)


async def test_a_version_that_is_not_there_is_told(server: TritonServer) -> None:
    with pytest.raises(RolloutFailed, match="decoder .* does not run"):
        await roll_out(reach(server), 7, settle_s=0)
