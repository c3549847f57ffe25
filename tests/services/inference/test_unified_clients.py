"""The unified model behind the inference ports, in this process and on a real Triton server.

What it is held to is published: the features, and the tokens of a whole conversation.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from services.inference.local import LocalDecoderPool, LocalEncoder
from services.inference.port import DecoderClient, DecoderPool, EncoderClient
from services.inference.triton_encoder import TritonEncoder
from services.inference.triton_replicas import TritonDecoderPool
from soundflow.checkpoint import open_checkpoint
from soundflow.features import Features
from soundflow.interaction import Ability, Action, EndReason, SessionSpec
from soundflow.models import Around, load_decoder, load_encoder
from soundflow.serving.engine_server import SWEEP_S
from soundflow.unified.memory import Memory
from soundflow.unified.runtime import Runtime
from soundflow.unified.tokens import ControlTokens
from soundflow.unified.window import Frames, Ids
from stack.triton import TritonServer
from tests import golden
from tests.golden.greedy import greedy_turns
from tests.golden.published import conversation
from tests.services.inference.triton_servers import MODELS, metric, reach
from tests.soundflow.checkpoint.folders import GOLDEN_INSTRUCTION
from tests.soundflow.following import engine
from tests.waiting import DEADLINE_S, until
from training.export import write_repository

ON_TRITON = pytest.param("triton", marks=pytest.mark.triton)

SESSIONS = [f"session {number}" for number in range(4)]
SPEAKING = SESSIONS[:2]
SPEC = SessionSpec(GOLDEN_INSTRUCTION, frozenset({Ability.TRANSCRIBE}))
# The published session is never laid out anew: it has all the positions that the model has.
RUNTIME = Runtime(sessions=len(SESSIONS), positions=golden.decoder_fields()["block_size"])


@pytest.fixture(scope="module")
def server(golden_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    repository = tmp_path_factory.mktemp("model_repo")
    write_repository(str(golden_folder), repository)
    env = {
        "SOUNDFLOW_MODEL": str(golden_folder),
        "SOUNDFLOW_UNIFIED_SESSIONS": str(RUNTIME.sessions),
        "SOUNDFLOW_UNIFIED_POSITIONS": str(RUNTIME.positions),
        "OMP_NUM_THREADS": "1",
    }
    with TritonServer(tmp_path_factory.mktemp("unified"), repository, MODELS, env) as server:
        yield server


@asynccontextmanager
async def local_encoder(folder: Path) -> AsyncIterator[LocalEncoder]:
    client = LocalEncoder(load_encoder(str(folder)))
    yield client
    client.close()


@asynccontextmanager
async def local_pool(folder: Path) -> AsyncIterator[LocalDecoderPool]:
    async with engine(load_decoder(str(folder), Around(runtime=RUNTIME))) as running:
        yield LocalDecoderPool(running)


@pytest.fixture(params=["local", ON_TRITON])
def where(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def encoder(
    where: str, request: pytest.FixtureRequest, golden_folder: Path
) -> AsyncIterator[EncoderClient]:
    clients: AbstractAsyncContextManager[EncoderClient] = local_encoder(golden_folder)
    if where == "triton":
        clients = TritonEncoder(reach(request.getfixturevalue("server")))
    async with clients as client:
        yield client


@pytest.fixture
async def pool(
    where: str, request: pytest.FixtureRequest, golden_folder: Path
) -> AsyncIterator[DecoderPool]:
    pools: AbstractAsyncContextManager[DecoderPool] = local_pool(golden_folder)
    if where == "triton":
        pools = TritonDecoderPool(reach(request.getfixturevalue("server")))
    async with pools as pool:
        yield pool


async def encoded(encoder: EncoderClient, name: str) -> list[Features]:
    state, made = encoder.initial(), []
    for chunk in golden.chunks(name):
        features, state = await asyncio.wait_for(encoder.encode(chunk, state), DEADLINE_S)
        made.append(features)
    return made


async def conversed(
    decoder: DecoderClient, name: str, heard: Iterable[Frames]
) -> list[tuple[Action, str, str]]:
    """Let a session hear each chunk once the turn before is over; return its answers.

    Each is what was decided, with which emotion, and the text.
    """
    await decoder.open(name, SPEC)
    said = []
    for index, frames in enumerate(heard):
        async with asyncio.timeout(DEADLINE_S):
            decision = (await decoder.hear(Features(name, index, {"frames": frames}))).decision
            assert decision.index == index
            texts = [await text(decoder, name, start.turn) for start in decision.turns]
        emotions = [start.emotion for start in decision.turns]
        said.append((decision.action, "".join(emotions), "".join(texts)))
    return said


async def answered(decoder: DecoderClient, name: str) -> list[Ids]:
    """Return the tokens of all that a session has answered, out of what its next decision says."""
    index = len(conversation())
    silent = Features(name, index, {"frames": np.zeros_like(conversation()[0])})
    heard = await asyncio.wait_for(decoder.hear(silent), DEADLINE_S)
    memory = Memory.read(heard.memory)
    assert memory
    return [entry.answer for entry in memory.entries(ControlTokens().silence)[:index]]


async def text(decoder: DecoderClient, name: str, turn: int) -> str:
    pieces = [piece async for piece in decoder.speak(name, turn)]
    assert pieces[-1].ended is EndReason.COMPLETE
    return "".join(piece.text for piece in pieces)


def told(turns: Iterable[Sequence[int]], golden_folder: Path) -> list[tuple[Action, str, str]]:
    """Return what is to be seen of turns, given by their tokens."""
    checkpoint = open_checkpoint(golden_folder)
    control, text_tokens = checkpoint.control, checkpoint.read_tokenizer()
    return [
        (Action.SILENT, "", "")
        if list(turn) == [control.silence]
        else (Action.RESPOND, control.emotions.get(turn[1], ""), text_tokens.decode(turn))
        for turn in turns
    ]


async def test_it_hears_the_published_features(encoder: EncoderClient) -> None:
    everyone = await asyncio.gather(*(encoded(encoder, name) for name in SESSIONS))
    for features in everyone:
        frames = [each.tensors["frames"] for each in features]
        np.testing.assert_allclose(frames, golden.features_prefix(), rtol=0, atol=1e-4)


async def test_it_says_every_published_token(pool: DecoderPool, golden_folder: Path) -> None:
    assert pool.info.name == "golden"
    decoder = pool.at((await pool.ranked(SPEAKING[0]))[0])
    everyone = await asyncio.gather(
        *(conversed(decoder, name, conversation()) for name in SPEAKING)
    )
    tokens = await asyncio.gather(*(answered(decoder, name) for name in SPEAKING))
    await asyncio.gather(*map(decoder.close, SPEAKING))
    assert everyone == [told(golden.turns(), golden_folder)] * len(SPEAKING)
    assert tokens == [[tuple(turn) for turn in golden.turns()]] * len(SPEAKING)
    assert sum(map(len, tokens[0])) == 898


@pytest.mark.parametrize("where", [ON_TRITON], indirect=True)
async def test_it_answers_what_it_hears_as_the_published_code_would(
    encoder: EncoderClient, pool: DecoderPool, golden_folder: Path
) -> None:
    decoder = pool.at((await pool.ranked("live"))[0])
    heard = [features.tensors["frames"] for features in await encoded(encoder, "live")]
    said = await conversed(decoder, "live", heard)
    await decoder.close("live")
    checkpoint = open_checkpoint(golden_folder)
    queues = [[frames] for frames in torch.from_numpy(golden.features_prefix())]
    system_ids = golden.prefix_ids()[4:-1]
    with torch.inference_mode():
        turns = greedy_turns(checkpoint.make_decoder(), checkpoint.control, system_ids, queues)
    assert said == told(turns, golden_folder)


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
        await conversed(decoder, "odd", golden.features_whole())
        await decoder.close("odd")
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
