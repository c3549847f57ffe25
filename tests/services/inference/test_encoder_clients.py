"""The contract of EncoderClient, in this process and on real Triton servers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import numpy as np
import pytest

from services.core import metrics
from services.core.errors import Unavailable
from services.inference import triton_encoder
from services.inference.config import InferenceConfig
from services.inference.local import LocalEncoder
from services.inference.port import EncoderClient
from services.inference.triton_encoder import TritonEncoder
from soundflow.audio import CHUNK_SAMPLES, Chunk
from soundflow.encoder import HEARD_NOTHING
from soundflow.null import NullEncoder
from stack.ports import free_ports
from stack.triton import TritonServer
from tests.services.inference.triton_servers import freeze, metric, reach, thaw
from tests.waiting import DEADLINE_S, until


@asynccontextmanager
async def local() -> AsyncIterator[LocalEncoder]:
    client = LocalEncoder(NullEncoder())
    yield client
    client.close()


@pytest.fixture(params=["local", pytest.param("triton", marks=pytest.mark.triton)])
async def encoder(request: pytest.FixtureRequest) -> AsyncIterator[EncoderClient]:
    clients: AbstractAsyncContextManager[EncoderClient] = local()
    if request.param == "triton":
        clients = TritonEncoder(reach(request.getfixturevalue("triton")))
    async with clients as client:
        yield client


def chunk(name: str, index: int = 0, level: float = 0.0) -> Chunk:
    return Chunk(name, index, np.full(CHUNK_SAMPLES, level, np.float32))


async def test_a_chunk_gets_its_features(encoder: EncoderClient) -> None:
    features, state = await encoder.encode(chunk("söund", 7, level=0.5), encoder.initial())
    assert (features.session_id, features.index, features.last) == ("söund", 7, False)
    np.testing.assert_allclose(features.tensors["level"], [0.5], rtol=1e-6)
    await encoder.encode(chunk("söund", 8), state)


async def test_the_last_chunk_says_so(encoder: EncoderClient) -> None:
    last = Chunk("a", 3, np.zeros(CHUNK_SAMPLES, np.float32), last=True)
    features, _ = await encoder.encode(last, encoder.initial())
    assert features.last


async def test_many_at_once_each_get_their_own(encoder: EncoderClient) -> None:
    levels = np.linspace(0, 1, 200)
    encoded = await asyncio.gather(
        *(encoder.encode(chunk(f"s{i}", i, level), HEARD_NOTHING) for i, level in enumerate(levels))
    )
    for i, (features, _) in enumerate(encoded):
        assert (features.session_id, features.index) == (f"s{i}", i)
        np.testing.assert_allclose(features.tensors["level"], [levels[i]], rtol=1e-5)


async def test_a_state_that_is_none_costs_nobody_else_anything(encoder: EncoderClient) -> None:
    good, bad = encoder.encode(chunk("a"), b""), encoder.encode(chunk("b"), b"not a state")
    with pytest.raises(ValueError, match="11 bytes"):
        await bad
    assert (await good)[0].session_id == "a"


# What only servers can show.


@pytest.mark.triton
async def test_requests_of_many_clients_share_a_batch(triton: TritonServer) -> None:
    async def client(number: int) -> None:
        async with TritonEncoder(reach(triton)) as encoder:
            for index in range(50):
                await encoder.encode(chunk(f"s{number}", index), HEARD_NOTHING)

    def counted() -> np.ndarray:
        names = ("nv_inference_count", "nv_inference_exec_count")
        return np.array([metric(triton, f'{name}{{model="encoder"') for name in names])

    before = counted()
    await asyncio.gather(*(client(number) for number in range(8)))
    # The server counts a chunk a moment after it has answered.
    await until(lambda: bool((counted() - before)[0] >= 400))
    chunks, batches = counted() - before
    assert chunks == 400
    assert batches < 0.8 * chunks


async def test_unavailable_when_no_server_answers() -> None:
    [port] = free_ports(1)
    nobody = InferenceConfig(encoder_addresses=f"127.0.0.1:{port}", encode_patience_s=0.5)
    async with TritonEncoder(nobody) as encoder:
        began = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable, match="no encoder answers"):
            await encoder.encode(chunk("a"), HEARD_NOTHING)
        assert 0.2 < asyncio.get_running_loop().time() - began < 5


async def test_a_server_that_failed_is_not_alive_until_it_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(triton_encoder, "REST_S", 0)
    [port] = free_ports(1)
    address = f"127.0.0.1:{port}"
    config = InferenceConfig(encoder_addresses=address, encode_patience_s=0.1)
    async with TritonEncoder(config) as encoder:
        with pytest.raises(Unavailable):
            await encoder.encode(chunk("a"), HEARD_NOTHING)
        encoder._take_up(frozenset({address}))  # as after every look-up
        assert metrics.REPLICAS_ALIVE.labels("encoder")._value.get() == 0


@pytest.mark.triton
@pytest.mark.parametrize("failure", ["killed", "frozen"])
async def test_no_chunk_is_lost_with_a_server(whole: list[TritonServer], failure: str) -> None:
    one, _ = whole
    stop = asyncio.Event()
    counts = dict.fromkeys("abcdefgh", 0)

    async def session(encoder: EncoderClient, name: str) -> None:
        while not stop.is_set():
            index = counts[name]
            features, _ = await asyncio.wait_for(
                encoder.encode(chunk(name, index), HEARD_NOTHING), DEADLINE_S
            )
            assert features.index == index
            counts[name] += 1

    config = reach(*whole, encode_timeout_s=0.5)
    async with TritonEncoder(config) as encoder, asyncio.TaskGroup() as sessions:
        for name in counts:
            sessions.create_task(session(encoder, name))
        await asyncio.sleep(0.3)
        one.kill() if failure == "killed" else freeze(one)
        await asyncio.sleep(1.5)
        before = dict(counts)
        await asyncio.sleep(1)
        stop.set()
    if failure == "frozen":
        thaw(one)
    assert all(counts[name] > before[name] > 0 for name in counts)


@pytest.mark.triton
async def test_a_server_that_is_back_is_used_again(whole: list[TritonServer]) -> None:
    one, two = whole
    async with TritonEncoder(reach(*whole)) as encoder:
        await asyncio.to_thread(one.kill)
        for index in range(4):
            await encoder.encode(chunk("a", index), HEARD_NOTHING)
        await asyncio.to_thread(one.start)
        await asyncio.to_thread(two.kill)
        await asyncio.wait_for(encoder.encode(chunk("a", 4), HEARD_NOTHING), DEADLINE_S)
