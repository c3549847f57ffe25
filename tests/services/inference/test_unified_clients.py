"""The unified model behind the inference ports, in this process and on a real Triton server.

What it is held to is published: the features, and the words.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from services.inference.local import LocalDecoderPool, LocalEncoder
from services.inference.port import DecoderClient, DecoderPool, EncoderClient
from services.inference.triton_encoder import TritonEncoder
from services.inference.triton_replicas import TritonDecoderPool
from soundflow.checkpoint import open_checkpoint
from soundflow.features import Features
from soundflow.interaction import Ability, Action, EndReason, SessionSpec
from soundflow.models import load_decoder, load_encoder
from soundflow.serving.engine_server import SWEEP_S
from soundflow.unified.tokens import ControlTokens, TextTokens
from stack.triton import TritonServer
from tests import golden
from tests.services.inference.conftest import MODELS
from tests.services.inference.triton_servers import metric, reach
from tests.soundflow.checkpoint.folders import GOLDEN_INSTRUCTION
from tests.soundflow.following import engine
from tests.waiting import DEADLINE_S, until
from training.export import write_repository

EVERYWHERE = ["local", pytest.param("triton", marks=pytest.mark.triton)]

SESSIONS = [f"session {number}" for number in range(4)]
SPEC = SessionSpec(GOLDEN_INSTRUCTION, frozenset({Ability.TRANSCRIBE}))


@pytest.fixture(scope="module")
def server(golden_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    repository = tmp_path_factory.mktemp("model_repo")
    write_repository(str(golden_folder), repository)
    env = {"SOUNDFLOW_MODEL": str(golden_folder), "OMP_NUM_THREADS": "1"}
    with TritonServer(tmp_path_factory.mktemp("unified"), repository, MODELS, env) as server:
        yield server


@asynccontextmanager
async def local_encoder(folder: Path) -> AsyncIterator[LocalEncoder]:
    client = LocalEncoder(load_encoder(str(folder)))
    yield client
    client.close()


@asynccontextmanager
async def local_pool(folder: Path) -> AsyncIterator[LocalDecoderPool]:
    async with engine(load_decoder(str(folder))) as running:
        yield LocalDecoderPool(running)


@pytest.fixture(params=EVERYWHERE)
async def encoder(
    request: pytest.FixtureRequest, golden_folder: Path
) -> AsyncIterator[EncoderClient]:
    clients: AbstractAsyncContextManager[EncoderClient] = local_encoder(golden_folder)
    if request.param == "triton":
        clients = TritonEncoder(reach(request.getfixturevalue("server")))
    async with clients as client:
        yield client


@pytest.fixture(params=EVERYWHERE)
async def pool(request: pytest.FixtureRequest, golden_folder: Path) -> AsyncIterator[DecoderPool]:
    pools: AbstractAsyncContextManager[DecoderPool] = local_pool(golden_folder)
    if request.param == "triton":
        pools = TritonDecoderPool(reach(request.getfixturevalue("server")))
    async with pools as pool:
        yield pool


async def encoded(encoder: EncoderClient, name: str) -> list[Features]:
    state, made = encoder.initial(), []
    for chunk in golden.chunks(name):
        features, state = await asyncio.wait_for(encoder.encode(chunk, state), DEADLINE_S)
        made.append(features)
    return made


async def conversed(decoder: DecoderClient, name: str) -> list[tuple[Action, str]]:
    """Let a session hear the golden clip as the published code did; return all that it said."""
    await decoder.open(name, SPEC)
    said = []
    for index, frames in enumerate(golden.features_whole()):
        async with asyncio.timeout(DEADLINE_S):
            decision = (await decoder.hear(Features(name, index, {"frames": frames}))).decision
            assert decision.index == index
            texts = [await text(decoder, name, start.turn) for start in decision.turns]
        said.append((decision.action, "".join(texts)))
    await decoder.close(name)
    return said


async def text(decoder: DecoderClient, name: str, turn: int) -> str:
    pieces = [piece async for piece in decoder.speak(name, turn)]
    assert pieces[-1].ended is EndReason.COMPLETE
    return "".join(piece.text for piece in pieces)


def published(tokens: TextTokens, silence: int) -> Sequence[tuple[Action, str]]:
    """Return the first clip of the published conversation."""
    return [
        (Action.SILENT, "") if turn == [silence] else (Action.RESPOND, tokens.decode(turn))
        for turn in golden.turns()[: len(golden.features_whole())]
    ]


async def test_it_hears_the_published_features(encoder: EncoderClient) -> None:
    everyone = await asyncio.gather(*(encoded(encoder, name) for name in SESSIONS))
    for features in everyone:
        frames = [each.tensors["frames"] for each in features]
        np.testing.assert_allclose(frames, golden.features_prefix(), rtol=0, atol=1e-4)


async def test_it_says_the_published_words(pool: DecoderPool, golden_folder: Path) -> None:
    assert pool.info.name == "golden"
    decoder = pool.at((await pool.ranked(SESSIONS[0]))[0])
    everyone = await asyncio.gather(*(conversed(decoder, name) for name in SESSIONS))
    checkpoint = open_checkpoint(golden_folder)
    expected = published(checkpoint.read_tokenizer(), checkpoint.control.silence)
    assert sum(action is Action.RESPOND for action, _ in expected) > 10
    for said in everyone:
        assert said == expected


@pytest.mark.triton
async def test_a_server_tells_how_often_its_model_was_odd(server: TritonServer) -> None:
    event = 'soundflow_decoder_events_total{event="unexpected_token"'
    async with TritonDecoderPool(reach(server)) as pool:
        decoder = pool.at((await pool.ranked("odd"))[0])

        async def let_it_tell() -> None:
            await asyncio.sleep(2 * SWEEP_S)  # events are counted then, and told with the next call
            await decoder.open("odd", SPEC)

        await let_it_tell()
        await decoder.close("odd")
        before = metric(server, event)
        await conversed(decoder, "odd")
        await let_it_tell()
        await until(lambda: metric(server, event) == before + odd_tokens())
        await decoder.close("odd")


def odd_tokens() -> int:
    """Return how many control tokens there are in the clip's turns where they have no place."""
    turns = [turn[1:-1] for turn in golden.turns()[: len(golden.features_whole())]]
    control = ControlTokens()
    odd = sum(token in control.ids for turn in turns for token in turn) - sum(
        turn[0] in control.emotions for turn in turns if turn
    )
    assert odd > 0
    return odd
