"""The encoder in this process: batches of whatever waits, each answered with its own."""

import asyncio
import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from services.inference.local import LocalDecoderPool, LocalEncoder
from soundflow.audio import CHUNK_SAMPLES, Chunk
from soundflow.engine import Engine
from soundflow.features import Features, TensorSpec
from soundflow.null import NullDecoder
from tests.waiting import DEADLINE_S, until


class CountingEncoder:
    """State: how many chunks a session has heard. Notes its batches; waits while held."""

    tensors = (TensorSpec("heard", "int64", (1,)),)

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.free = threading.Event()
        self.free.set()
        self.fails = False

    def initial(self) -> int:
        return 0

    def encode(self, batch: Sequence[tuple[Chunk, int]]) -> list[tuple[Features, int]]:
        self.batches.append([chunk.session_id for chunk, _ in batch])
        assert self.free.wait(DEADLINE_S)
        if self.fails:
            raise ValueError("no")
        return [
            (Features(chunk.session_id, chunk.index, {"heard": np.array([heard])}), heard + 1)
            for chunk, heard in batch
        ]

    def dump(self, state: int) -> bytes:
        return str(state).encode()

    def load(self, data: bytes) -> int:
        return int(data)


@pytest.fixture
def encoder() -> Iterator[CountingEncoder]:
    encoder = CountingEncoder()
    yield encoder
    encoder.free.set()


@pytest.fixture
def local(encoder: CountingEncoder) -> Iterator[LocalEncoder]:
    local = LocalEncoder(encoder)
    yield local
    local.close()


def chunk(session_id: str, index: int = 0) -> Chunk:
    return Chunk(session_id, index, np.zeros(CHUNK_SAMPLES, np.float32))


async def test_a_chunk_is_encoded_with_its_own_state(local: LocalEncoder) -> None:
    features, state = await local.encode(chunk("a", 3), b"5")
    assert (features.session_id, features.index, state) == ("a", 3, b"6")
    assert features.tensors["heard"].tolist() == [5]


async def test_a_session_begins_having_heard_nothing(local: LocalEncoder) -> None:
    _, state = await local.encode(chunk("a"), local.initial())
    assert state == b"1"


async def test_a_state_that_is_none_costs_nobody_else_anything(
    local: LocalEncoder, encoder: CountingEncoder
) -> None:
    encoder.free.clear()
    first = asyncio.ensure_future(local.encode(chunk("a"), b"0"))
    await until(lambda: bool(encoder.batches))
    bad = asyncio.ensure_future(local.encode(chunk("b"), b"not a number"))
    good = asyncio.ensure_future(local.encode(chunk("c"), b"3"))
    encoder.free.set()
    with pytest.raises(ValueError, match="not a number"):
        await asyncio.wait_for(bad, DEADLINE_S)
    features, state = await asyncio.wait_for(good, DEADLINE_S)
    assert (features.session_id, state) == ("c", b"4")
    await first


async def test_what_waits_meanwhile_shares_the_next_batch(
    local: LocalEncoder, encoder: CountingEncoder
) -> None:
    encoder.free.clear()
    results = [asyncio.ensure_future(local.encode(chunk("a"), b"0"))]
    await until(lambda: encoder.batches == [["a"]])
    results += [asyncio.ensure_future(local.encode(chunk(name), b"0")) for name in "bcd"]
    encoder.free.set()
    encoded = await asyncio.wait_for(asyncio.gather(*results), DEADLINE_S)
    assert encoder.batches == [["a"], ["b", "c", "d"]]
    assert [features.session_id for features, _ in encoded] == ["a", "b", "c", "d"]


async def test_a_batch_that_fails_tells_all_of_it_and_the_next_one_works(
    local: LocalEncoder, encoder: CountingEncoder
) -> None:
    encoder.free.clear()
    encoder.fails = True
    results = [asyncio.ensure_future(local.encode(chunk(name), b"0")) for name in "ab"]
    encoder.free.set()
    for result in results:
        with pytest.raises(ValueError, match="no"):
            await asyncio.wait_for(result, DEADLINE_S)
    encoder.fails = False
    features, _ = await local.encode(chunk("a"), b"0")
    assert features.session_id == "a"


async def test_who_stops_waiting_does_not_disturb_the_others(
    local: LocalEncoder, encoder: CountingEncoder
) -> None:
    encoder.free.clear()
    first = asyncio.ensure_future(local.encode(chunk("a"), b"0"))
    await until(lambda: bool(encoder.batches))
    gone, stays = (asyncio.ensure_future(local.encode(chunk(name), b"0")) for name in "bc")
    gone.cancel()
    encoder.free.set()
    await asyncio.wait_for(asyncio.gather(first, stays), DEADLINE_S)
    assert stays.result()[0].session_id == "c"


async def test_the_only_replica_is_the_engine() -> None:
    engine = Engine(NullDecoder())
    pool = LocalDecoderPool(engine)
    assert (await pool.ranked("a"))[0] == (await pool.ranked("b"))[0] == "local"
    assert pool.at("local") is engine
    assert pool.info.name == "null"
