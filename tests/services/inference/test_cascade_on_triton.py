"""The cascade on a real Triton server hears and says what it does in this process."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.inference.local import LocalEncoder
from services.inference.port import DecoderClient, EncoderClient
from services.inference.triton_encoder import TritonEncoder
from services.inference.triton_replicas import TritonDecoderPool
from soundflow.audio import Chunk
from soundflow.features import Features
from soundflow.interaction import Ability, SessionSpec
from soundflow.media import open_media
from soundflow.models import Model
from stack.triton import TritonServer
from tests.services.inference.triton_servers import metric, reach
from tests.soundflow.following import Caller, engine
from tests.waiting import DEADLINE_S, until

PROMPT = Path(__file__).parents[2] / "data" / "prompts" / "conf-onlyperson.flac"
SPEC = SessionSpec(abilities=frozenset({Ability.TRANSCRIBE}), source_language="en")
SESSIONS = [f"session {number}" for number in range(4)]

pytestmark = [pytest.mark.triton, pytest.mark.models]


@pytest.fixture
async def pool(cascade_triton: TritonServer) -> AsyncIterator[TritonDecoderPool]:
    async with TritonDecoderPool(reach(cascade_triton)) as pool:
        yield pool


@pytest.fixture
async def heard(cascade: Model) -> AsyncIterator[list[Features]]:
    """The features of a recording, as they are in this process."""
    encoder = LocalEncoder(cascade.encoder)
    yield await encoded(encoder, "speech")
    encoder.close()


def chunks(name: str) -> Sequence[Chunk]:
    with open_media(PROMPT) as media:
        return list(media.chunks([name]))


async def encoded(encoder: EncoderClient, name: str) -> list[Features]:
    state, made = encoder.initial(), []
    for chunk in chunks(name):
        features, state = await asyncio.wait_for(encoder.encode(chunk, state), DEADLINE_S)
        made.append(features)
    return made


async def test_it_hears_the_same(cascade_triton: TritonServer, heard: list[Features]) -> None:
    async with TritonEncoder(reach(cascade_triton)) as encoder:
        everyone = await asyncio.gather(*(encoded(encoder, name) for name in SESSIONS))
    for name, features in zip(SESSIONS, everyone, strict=True):
        assert len(features) == len(heard)
        for there, here in zip(features, heard, strict=True):
            assert (there.session_id, there.index, there.last) == (name, here.index, here.last)
            assert there.tensors.keys() == here.tensors.keys()
            for tensor, expected in here.tensors.items():
                # The server's numpy is another one, which rounds logarithms differently.
                np.testing.assert_allclose(there.tensors[tensor], expected, rtol=0, atol=1e-5)


async def test_it_decides_and_says_the_same(
    cascade: Model, pool: TritonDecoderPool, heard: list[Features]
) -> None:
    async def told(decoder: Any, name: str) -> tuple[object, ...]:
        caller = Caller(SPEC)
        await caller.run(decoder, name, heard)
        await decoder.close(name)
        assert caller.newest
        return caller.told, caller.decided, caller.newest.decision.action, caller.newest.memory

    async with engine(cascade.decoder) as here:
        expected = await told(here, "speech")
    assert expected[0], "somebody speaks in this recording"
    there = pool.at((await pool.ranked("speech"))[0])
    for got in await asyncio.gather(*(told(there, name) for name in SESSIONS)):
        assert got == expected


async def test_a_client_that_vanishes_leaves_no_call(
    cascade_triton: TritonServer, heard: list[Features]
) -> None:
    async def follow(decoder: DecoderClient, turn: int) -> None:
        async for _ in decoder.speak("left", turn):
            pass

    def open_calls() -> float:
        return metric(cascade_triton, "soundflow_decoder_calls{")

    async with TritonDecoderPool(reach(cascade_triton)) as pool:
        decoder = pool.at((await pool.ranked("left"))[0])
        await decoder.open("left", SPEC)
        turns: list[int] = []
        for features in heard:
            decision = (
                await decoder.hear(Features("left", features.index, features.tensors))
            ).decision
            turns += [start.turn for start in decision.turns]
            if turns:
                break
        following = asyncio.create_task(follow(decoder, turns[0]))
        await until(lambda: asyncio.to_thread(lambda: open_calls() == 1))
    await asyncio.gather(following, return_exceptions=True)
    async with TritonDecoderPool(reach(cascade_triton)) as pool:
        await until(lambda: asyncio.to_thread(lambda: open_calls() == 0))
        again = pool.at((await pool.ranked("left"))[0])
        assert await again.open("left", SPEC) > 0  # whoever comes back finds the session
        await again.close("left")
