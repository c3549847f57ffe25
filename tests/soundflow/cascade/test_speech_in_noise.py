"""What the encoder and the tracker together take for speech, on audio made here."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from soundflow.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ, Chunk, Pcm
from soundflow.cascade.encoder import CascadeEncoder
from soundflow.cascade.speech import SpeechTracker

PROMPT = Path(__file__).parents[2] / "data" / "prompts" / "agent-pass.flac"
CHUNKS = 25  # 10 s


def white(rng: np.random.Generator, samples: int) -> Pcm:
    noise: Pcm = rng.standard_normal(samples).astype(np.float32)
    return noise


def pink(rng: np.random.Generator, samples: int) -> Pcm:
    """Noise whose power falls with frequency, as that of rooms and breath does."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    shaped = np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1)), samples)
    noise: Pcm = (shaped / shaped.std()).astype(np.float32)
    return noise


def least_bits(rng: np.random.Generator, samples: int) -> Pcm:
    """An open line: nothing but the last bit of 16."""
    bits: Pcm = rng.integers(-1, 2, samples).astype(np.float32) / np.float32(32768)
    return bits


@pytest.fixture(scope="module")
def encoder() -> CascadeEncoder:
    return CascadeEncoder.pretrained()


def turns(encoder: CascadeEncoder, pcm: Pcm) -> int:
    opened: list[int] = []
    numbers = count(1)

    def next_turn() -> int:
        opened.append(next(numbers))
        return opened[-1]

    tracker, state = SpeechTracker(next_turn), encoder.initial()
    for index, piece in enumerate(pcm.reshape(-1, CHUNK_SAMPLES)):
        [(features, state)] = encoder.encode([(Chunk("call", index, piece), state)])
        tracker.hear(features)
    return len(opened)


@pytest.mark.models
@pytest.mark.parametrize("level_db", [-70, -50, -30, -20])
@pytest.mark.parametrize("noise", [white, pink])
def test_noise_opens_no_turn(
    encoder: CascadeEncoder, noise: Callable[[np.random.Generator, int], Pcm], level_db: int
) -> None:
    pcm = noise(np.random.default_rng(1), CHUNKS * CHUNK_SAMPLES) * np.float32(
        10 ** (level_db / 20)
    )
    assert turns(encoder, pcm) == 0


@pytest.mark.models
def test_an_open_line_opens_no_turn(encoder: CascadeEncoder) -> None:
    assert turns(encoder, least_bits(np.random.default_rng(1), CHUNKS * CHUNK_SAMPLES)) == 0


@pytest.mark.models
@pytest.mark.parametrize("level_db", [0, -30])
def test_speech_opens_a_turn_loud_or_quiet(encoder: CascadeEncoder, level_db: int) -> None:
    pcm, rate_hz = soundfile.read(PROMPT, dtype="float32")
    speech = np.asarray(soxr.resample(pcm, rate_hz, SAMPLE_RATE_HZ), np.float32)
    padded = np.pad(speech, (0, -len(speech) % CHUNK_SAMPLES))
    assert turns(encoder, padded * np.float32(10 ** (level_db / 20))) >= 1
