"""A session that is rebuilt in another engine, at any chunk, tells what it would have told."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soundflow.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ, Chunk, Pcm
from soundflow.cascade.chat import ChatConfig
from soundflow.cascade.decoder import CascadeDecoder
from soundflow.cascade.encoder import CascadeEncoder
from soundflow.cascade.turn_end import TurnEnd
from soundflow.cascade.whisper import WhisperRuntime
from soundflow.cascade.whisper_model import WhisperModel
from soundflow.encoder import Encoder
from soundflow.engine import Engine
from soundflow.features import Features
from soundflow.interaction import Ability, EndReason, Kind, SessionSpec
from soundflow.media import open_media
from soundflow.models import load_model
from soundflow.null import RESPOND_EVERY_CHUNKS, NullDecoder, NullEncoder
from tests import golden
from tests.soundflow.checkpoint.folders import GOLDEN_INSTRUCTION
from tests.soundflow.following import Caller, engine

PROMPTS = Path(__file__).parents[1] / "data" / "prompts"


def prompt(name: str) -> Pcm:
    with open_media(PROMPTS / f"{name}.flac") as media:
        return np.concatenate([chunk.pcm for chunk in media.chunks(["speech"])])


def pause(seconds: float) -> Pcm:
    return np.zeros(int(seconds * SAMPLE_RATE_HZ), np.float32)


def encode(encoder: Encoder[Any], *sounds: Pcm) -> list[Features]:
    pcm = np.concatenate(sounds)
    pcm = np.pad(pcm, (0, -pcm.size % CHUNK_SAMPLES))
    state, heard = encoder.initial(), []
    pieces = np.split(pcm, pcm.size // CHUNK_SAMPLES)
    for index, piece in enumerate(pieces):
        chunk = Chunk("call", index, piece, last=index == len(pieces) - 1)
        [(features, state)] = encoder.encode([(chunk, state)])
        heard.append(features)
    return heard


async def assert_rebuilt_anywhere(
    first: Engine[Any],
    second: Engine[Any],
    spec: SessionSpec,
    stream: Sequence[Features],
    stops: Sequence[int],
    at_once: int = 1,
) -> Caller:
    """Return the caller of the session that nothing happened to."""
    undisturbed = Caller(spec)
    was = await undisturbed.run(first, "call", stream, at_once=at_once)
    for stop in stops:
        caller = was[stop // at_once]
        await caller.run(second, f"rebuilt after {stop}", stream, at_once=at_once)
        assert caller.told == undisturbed.told, f"rebuilt after chunk {stop}"
        assert caller.decided == undisturbed.decided
    return undisturbed


@pytest.mark.parametrize("at_once", [1, 3])
async def test_null_goes_on_counting(at_once: int) -> None:
    stream = encode(NullEncoder(), pause(8))
    async with engine(NullDecoder()) as first, engine(NullDecoder()) as second:
        caller = await assert_rebuilt_anywhere(
            first, second, SessionSpec(), stream, range(len(stream)), at_once
        )
    texts = [f"chunk {index}" for index in range(len(stream)) if (index + 1) % 5 == 0]
    assert RESPOND_EVERY_CHUNKS == 5
    assert [text for _, text, _ in caller.told.values()] == texts


async def test_the_unified_model_goes_on_in_the_middle_of_its_words(golden_folder: Path) -> None:
    model, other = load_model(str(golden_folder)), load_model(str(golden_folder))
    stream = encode(model.encoder, golden.pcm())
    # Where nothing interrupts it, no word depends on when a chunk comes.
    spec = SessionSpec(GOLDEN_INSTRUCTION, frozenset({Ability.TRANSCRIBE}))
    async with engine(model.decoder) as first, engine(other.decoder) as second:
        caller = await assert_rebuilt_anywhere(
            first, second, spec, stream, range(1, len(stream), 4)
        )
    assert {ended for _, _, ended in caller.told.values()} == {EndReason.COMPLETE}
    assert max(len(turn.pieces) for turn in caller.turns.values()) >= 10, "no turn is long"


@pytest.fixture
async def cascades(
    whisper_models: tuple[WhisperModel, WhisperModel],
) -> AsyncIterator[tuple[Engine[Any], Engine[Any]]]:
    def decoder() -> CascadeDecoder:
        return CascadeDecoder(WhisperRuntime(*whisper_models), TurnEnd(), ChatConfig())

    async with engine(decoder()) as first, engine(decoder()) as second:
        yield first, second


@pytest.mark.models
async def test_what_was_drained_together_is_decided_on_together_again(
    cascades: tuple[Engine[Any], Engine[Any]],
) -> None:
    stream = encode(
        CascadeEncoder.pretrained(), prompt("conf-invalid"), prompt("conf-onlyperson"), pause(1.5)
    )
    spec = SessionSpec(source_language="en")
    caller = await assert_rebuilt_anywhere(
        *cascades, spec, stream, range(5, len(stream), 6), at_once=3
    )
    assert max(len(turn.pieces) for turn in caller.turns.values()) >= 2, "none settled in parts"


@pytest.mark.models
async def test_a_transcript_goes_on_in_the_middle_of_its_words(
    cascades: tuple[Engine[Any], Engine[Any]],
) -> None:
    stream = encode(
        CascadeEncoder.pretrained(),
        prompt("vm-savefolder"),
        pause(1.2),
        prompt("conf-invalid"),
        prompt("conf-onlyperson"),  # one utterance with the one before, which is settled in parts
        pause(1.5),
    )
    spec = SessionSpec(source_language="en")
    caller = await assert_rebuilt_anywhere(*cascades, spec, stream, range(2, len(stream), 4))
    ends = {(kind, ended) for kind, _, ended in caller.told.values()}
    assert ends == {(Kind.TRANSCRIPT, EndReason.COMPLETE)}
    assert len(caller.turns) >= 2
    assert max(len(turn.pieces) for turn in caller.turns.values()) >= 2, "none settled in parts"
