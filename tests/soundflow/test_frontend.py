from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from soundflow.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from soundflow.frontend import (
    Array,
    Carry,
    whisper_log_mel,
    whisper_mel,
    whisper_normalise,
    yamnet_log_mel,
    yamnet_mel,
)

GOLDEN = Path(__file__).parents[1] / "data" / "whisper_log_mel.npz"
Front = Callable[[Array, Carry, Array], tuple[Array, Carry]]

fronts = pytest.mark.parametrize(
    ("front", "mel"),
    [
        (whisper_log_mel, whisper_mel(80)),
        (whisper_log_mel, whisper_mel(128)),
        (yamnet_log_mel, yamnet_mel()),
    ],
    ids=["whisper-80", "whisper-128", "yamnet"],
)


def noise(samples: int, seed: int) -> Array:
    return np.random.default_rng(seed).normal(0.0, 0.1, samples).astype(np.float32)


def streamed(front: Front, pcm: Array, mel: Array, lengths: list[int]) -> Array:
    carry, frames = Carry.empty(), []
    for piece in np.split(pcm, np.cumsum(lengths)[:-1]):
        made, carry = front(piece, carry, mel)
        frames.append(made)
    return np.concatenate(frames)


@fronts
def test_cutting_a_clip_never_changes_its_frames(front: Front, mel: Array) -> None:
    lengths = [CHUNK_SAMPLES, 320, 160, 4800, 160, CHUNK_SAMPLES]
    pcm = noise(sum(lengths), seed=1)
    whole, _ = front(pcm, Carry.empty(), mel)
    np.testing.assert_allclose(streamed(front, pcm, mel, lengths), whole, atol=1e-5)


@fronts
def test_every_chunk_makes_forty_frames(front: Front, mel: Array) -> None:
    carry = Carry.empty()
    for seed in range(3):
        frames, carry = front(noise(CHUNK_SAMPLES, seed), carry, mel)
        assert frames.shape == (40, len(mel))
        assert frames.dtype == np.float32


@fronts
def test_digital_silence_is_finite(front: Front, mel: Array) -> None:
    frames, _ = front(np.zeros(CHUNK_SAMPLES, np.float32), Carry.empty(), mel)
    assert np.isfinite(frames).all()


@fronts
@pytest.mark.parametrize("samples", [0, 100, 6401])
def test_a_piece_that_is_not_whole_hops_is_refused(front: Front, mel: Array, samples: int) -> None:
    with pytest.raises(ValueError, match="160"):
        front(np.zeros(samples, np.float32), Carry.empty(), mel)


def test_whisper_frames_are_those_of_the_published_code_one_hop_late() -> None:
    golden = np.load(GOLDEN)
    pcm = golden["pcm"].astype(np.float32) / 32768
    frames = streamed(whisper_log_mel, pcm, whisper_mel(128), [CHUNK_SAMPLES] * 6)
    ours = whisper_normalise(frames)[1 : len(golden["mel"]) + 1]
    np.testing.assert_allclose(ours, golden["mel"], atol=1e-4)


def test_whisper_refuses_a_first_piece_too_short_to_mirror() -> None:
    with pytest.raises(ValueError, match="320"):
        whisper_log_mel(np.zeros(160, np.float32), Carry.empty(), whisper_mel(80))


@pytest.mark.parametrize("hz", [250.0, 1000.0, 2020.0, 4000.0])
def test_a_yamnet_tone_lands_in_the_band_of_its_htk_mel(hz: float) -> None:
    # HTK: 2595 log10(1 + f / 700); 66 edges from 125 Hz to 7.5 kHz make 64 bands.
    low, tone, high = (2595 * np.log10(1 + f / 700) for f in (125.0, hz, 7500.0))
    expected = (tone - low) / (high - low) * 65 - 1
    seconds = np.arange(CHUNK_SAMPLES) / SAMPLE_RATE_HZ
    pcm = np.sin(2 * np.pi * hz * seconds).astype(np.float32)
    frames, _ = yamnet_log_mel(pcm, Carry.empty(), yamnet_mel())
    assert abs(frames[20].argmax() - expected) < 1


def test_yamnet_takes_magnitudes_above_a_small_offset() -> None:
    pcm = noise(CHUNK_SAMPLES, seed=4)
    quiet, _ = yamnet_log_mel(pcm, Carry.empty(), yamnet_mel())
    loud, _ = yamnet_log_mel(10 * pcm, Carry.empty(), yamnet_mel())
    np.testing.assert_allclose(np.exp(loud) - 0.001, 10 * (np.exp(quiet) - 0.001), rtol=1e-3)
    silent, _ = yamnet_log_mel(0 * pcm, Carry.empty(), yamnet_mel())
    np.testing.assert_allclose(silent, np.log(0.001), rtol=1e-6)


@pytest.mark.parametrize("bands", [80, 128])
def test_whisper_filters_are_slaney_triangles(bands: int) -> None:
    mel = whisper_mel(bands)
    assert mel.shape == (bands, 201)
    bins_hz = np.arange(201) * 40.0
    edges_hz = [slaney_hz(mel) for mel in np.linspace(0.0, slaney_top(), bands + 2)]
    for band, (low, centre, high) in zip(
        mel, zip(edges_hz, edges_hz[1:], edges_hz[2:], strict=False), strict=True
    ):
        peak = 2.0 / (high - low)
        triangle = np.interp(bins_hz, [low, centre, high], [0.0, peak, 0.0])
        np.testing.assert_allclose(band, triangle, atol=1e-7)


def slaney_hz(mel: float) -> float:
    """Slaney's scale: 3 mel per 200 Hz up to 1 kHz, from there 27 mel per factor of 6.4."""
    return mel * 200 / 3 if mel < 15 else float(1000 * 6.4 ** ((mel - 15) / 27))


def slaney_top() -> float:
    """Return 8 kHz, three octaves above 1 kHz, in mel."""
    return float(15 + 27 * np.log(8) / np.log(6.4))


def test_normalising_floors_at_eight_below_the_loudest() -> None:
    normal = whisper_normalise(np.array([[-10.0, -6.0, 0.0]], np.float32))
    np.testing.assert_allclose(normal, [[-1.0, -0.5, 1.0]])
