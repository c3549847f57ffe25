"""The contract of DecoderPool and DecoderClient, in this process and on a real Triton server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import numpy as np
import pytest

from services.inference.local import LocalDecoderPool
from services.inference.port import DecoderClient, DecoderPool
from services.inference.triton_replicas import TritonDecoderPool
from soundflow.engine_session import EngineError, Heard, NotOpen, OutOfOrder
from soundflow.features import Features
from soundflow.interaction import (
    Ability,
    Action,
    EndReason,
    Kind,
    Past,
    PastTurn,
    Piece,
    SessionSpec,
)
from soundflow.null import RESPOND_EVERY_CHUNKS, NullDecoder
from tests.services.inference.triton_servers import reach
from tests.soundflow.following import engine
from tests.waiting import DEADLINE_S

SPEC = SessionSpec("Listen")


@asynccontextmanager
async def local() -> AsyncIterator[LocalDecoderPool]:
    async with engine(NullDecoder()) as running:
        yield LocalDecoderPool(running)


@pytest.fixture(params=["local", pytest.param("triton", marks=pytest.mark.triton)])
async def pool(request: pytest.FixtureRequest) -> AsyncIterator[DecoderPool]:
    pools: AbstractAsyncContextManager[DecoderPool] = local()
    if request.param == "triton":
        pools = TritonDecoderPool(reach(request.getfixturevalue("triton")))
    async with pools as pool:
        yield pool


@pytest.fixture
async def decoder(
    pool: DecoderPool, request: pytest.FixtureRequest
) -> AsyncIterator[DecoderClient]:
    """The replica of a session that is named like the test; it and its like are closed after."""
    decoder = pool.at((await pool.ranked(request.node.name))[0])
    yield decoder
    for name in "abcdefgh":
        await decoder.close(name)


def features(name: str, index: int) -> Features:
    return Features(name, index, {"level": np.zeros(1, np.float32)})


async def hear(decoder: DecoderClient, name: str, *indexes: int) -> list[Heard]:
    heard = [decoder.hear(features(name, index)) for index in indexes]
    return [await asyncio.wait_for(each, DEADLINE_S) for each in heard]


async def follow(decoder: DecoderClient, name: str, turn: int) -> list[Piece]:
    async with asyncio.timeout(DEADLINE_S):
        return [piece async for piece in decoder.speak(name, turn)]


async def test_a_pool_knows_its_model(pool: DecoderPool) -> None:
    assert pool.info.name == "null"
    assert pool.info.abilities == frozenset(Ability)
    assert pool.at((await pool.ranked("a"))[0]).info == pool.info


async def test_a_session_is_always_on_the_same_replica(pool: DecoderPool) -> None:
    assert len({(await pool.ranked("a"))[0] for _ in range(20)}) == 1


async def test_a_session_begins_at_its_first_chunk(decoder: DecoderClient) -> None:
    assert await decoder.open("a", SPEC) == 0
    await hear(decoder, "a", 0, 1)
    assert await decoder.open("a", SPEC) == 2


async def test_a_session_goes_on_from_its_past(decoder: DecoderClient) -> None:
    past = Past((PastTurn(7, Kind.NOTICE, "chunk 4", 4),), window_start=5, decided=6)
    assert await decoder.open("a", SPEC, past) == 5
    heard = await hear(decoder, "a", *range(5, 10))
    [start] = heard[-1].decision.turns
    assert start.turn == 8


async def test_each_chunk_gets_the_decision_that_covers_it(decoder: DecoderClient) -> None:
    await decoder.open("a", SPEC)
    for index in range(RESPOND_EVERY_CHUNKS - 1):
        [heard] = await hear(decoder, "a", index)
        assert (heard.decision.index, heard.decision.action) == (index, Action.SILENT)
    [heard] = await hear(decoder, "a", RESPOND_EVERY_CHUNKS - 1)
    assert heard.decision.action is Action.RESPOND
    assert heard.window_start == RESPOND_EVERY_CHUNKS - 1


async def test_a_repeated_chunk_gets_its_decision_again(decoder: DecoderClient) -> None:
    await decoder.open("a", SPEC)
    first = [(await hear(decoder, "a", index))[0] for index in range(8)]
    assert await hear(decoder, "a", *range(8)) == first


async def test_chunks_sent_at_once_keep_their_order(decoder: DecoderClient) -> None:
    await decoder.open("a", SPEC)
    heard = await hear(decoder, "a", *range(50))
    for index, each in enumerate(heard):
        assert each.decision.index >= index
    assert heard[-1].decision.index == 49


async def test_a_turn_is_followed_to_its_end_and_again(decoder: DecoderClient) -> None:
    await decoder.open("a", SPEC)
    await hear(decoder, "a", *range(RESPOND_EVERY_CHUNKS))
    text = f"chunk {RESPOND_EVERY_CHUNKS - 1}"
    whole = [Piece(1, 0, text), Piece(1, 1, ended=EndReason.COMPLETE)]
    assert await follow(decoder, "a", 1) == whole
    assert await follow(decoder, "a", 1) == whole


async def test_many_sessions_at_once_each_get_their_own(decoder: DecoderClient) -> None:
    async def session(name: str) -> None:
        await decoder.open(name, SPEC)
        for index in range(3 * RESPOND_EVERY_CHUNKS):
            [heard] = await hear(decoder, name, index)
            assert (heard.decision.session_id, heard.decision.index) == (name, index)
            for start in heard.decision.turns:
                said = await follow(decoder, name, start.turn)
                assert [piece.text for piece in said] == [f"chunk {index}", ""]

    await asyncio.gather(*(session(name) for name in "abcdefgh"))


async def test_instructions_and_cancelling_are_taken(decoder: DecoderClient) -> None:
    await decoder.open("a", SPEC)
    await decoder.instruct("a", "Zähle die Hunde")
    await decoder.cancel("a", 1)


async def test_what_does_not_fit_is_an_error_of_its_kind(decoder: DecoderClient) -> None:
    with pytest.raises(NotOpen, match="nobody"):
        await decoder.hear(features("nobody", 0))
    with pytest.raises(NotOpen, match="nobody"):
        await decoder.instruct("nobody", "listen")
    await decoder.open("a", SPEC)
    with pytest.raises(OutOfOrder, match="expects chunk 0"):
        await decoder.hear(features("a", 3))
    with pytest.raises(EngineError, match="no turn 9"):
        await follow(decoder, "a", 9)
    await hear(decoder, "a", 0)


async def test_closing_ends_a_session(decoder: DecoderClient) -> None:
    await decoder.open("a", SPEC)
    await hear(decoder, "a", 0)
    await decoder.close("a")
    with pytest.raises(NotOpen):
        await decoder.hear(features("a", 1))
    await decoder.close("a")
    assert await decoder.open("a", SPEC) == 0
