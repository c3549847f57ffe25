from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from soundflow.audio import SAMPLE_RATE_HZ, Pcm
from training.curation.recordings import read_pcm
from training.curation.spectrogram import HALO, HOP_SAMPLES, Spectrogram, analyse, synthesise
from training.curation.tfjp import (
    GRID_HOPS,
    GRID_SAMPLES,
    UnusableClipError,
    boundary_norm,
    core_locate,
    denoise,
    noise_profile,
    silence_cut,
    spec_smooth,
    tfjp,
)

DATA = Path(__file__).parents[1] / "data"
REAL = sorted([*DATA.glob("sounds/*"), *DATA.glob("prompts/*.flac")])


def noise(seconds: float, level: float, seed: int = 0) -> Pcm:
    samples = round(seconds * SAMPLE_RATE_HZ)
    return (level * np.random.default_rng(seed).normal(size=samples)).astype(np.float32)


def tone(seconds: float, level: float = 0.3, hz: float = 700.0) -> Pcm:
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (level * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)


def energy(pcm: Pcm) -> float:
    return float(np.square(pcm, dtype=np.float64).sum())


def db(ratio: float) -> float:
    return float(10 * np.log10(max(ratio, 1e-12)))


def made(seed: int) -> Pcm:
    """A clip of random parts: silence, noise, tones and clicks, of any length."""
    rng = np.random.default_rng(seed)
    parts = [
        rng.choice(["silence", "noise", "tone", "click"], p=[0.3, 0.3, 0.3, 0.1])
        for _ in range(rng.integers(1, 7))
    ]
    makers: dict[str, Callable[[float, float], Pcm]] = {
        "silence": lambda seconds, level: silence(seconds),
        "noise": lambda seconds, level: noise(seconds, level, seed),
        "tone": lambda seconds, level: tone(seconds, level, rng.uniform(100, 6000)),
        "click": lambda seconds, level: tone(0.003, level),
    }
    pieces = [makers[part](rng.uniform(0.01, 1.5), 10 ** rng.uniform(-4, 0)) for part in parts]
    return np.concatenate([*pieces, tone(0.02)])


CLIPS = {path.stem: read_pcm(path) for path in REAL} | {f"made {n}": made(n) for n in range(40)}


@pytest.mark.parametrize("pcm", CLIPS.values(), ids=CLIPS.keys())
def test_nothing_grows_louder_and_lengths_are_on_the_grid(pcm: Pcm) -> None:
    curated = tfjp(pcm)
    assert len(curated.pcm_S) > 0
    assert len(curated.pcm_S) % GRID_SAMPLES == 0
    assert curated.pcm_S.dtype == np.float32
    assert np.isfinite(curated.pcm_S).all()
    assert energy(curated.pcm_S) <= energy(pcm) * (1 + 1e-5)
    assert (curated.rounds, curated.iterations) <= (3, 9)


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_a_curated_recording_stays_as_it_is(path: Path) -> None:
    once = tfjp(read_pcm(path)).pcm_S
    twice = tfjp(once).pcm_S
    assert len(twice) == len(once)
    assert db(energy(twice - once) / energy(once)) < -25


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_a_recording_keeps_its_sound(path: Path) -> None:
    pcm = read_pcm(path)
    assert db(energy(tfjp(pcm).pcm_S) / energy(pcm)) > -1


@pytest.mark.parametrize(
    "operator", [silence_cut, spec_smooth, lambda s: denoise(s, noise_profile(s))]
)
@pytest.mark.parametrize("seed", range(8))
def test_no_operator_adds_energy(operator: Callable[[Spectrogram], Spectrogram], seed: int) -> None:
    before = analyse(made(seed))
    after = operator(before)
    assert energy(np.abs(after.frames_TF)) <= energy(np.abs(before.frames_TF)) * (1 + 1e-5)


@pytest.mark.parametrize("samples", [1, 159, 160, 161, 640, 6400, 16_001])
def test_the_spectrogram_gives_the_samples_back(samples: int) -> None:
    pcm = noise(samples / SAMPLE_RATE_HZ, 0.3)
    back = synthesise(analyse(pcm))
    assert len(back) == -(-samples // HOP_SAMPLES) * HOP_SAMPLES
    np.testing.assert_allclose(back[:samples], pcm, atol=1e-5)
    assert not back[samples:].round(5).any()


def test_a_cut_gives_the_samples_of_its_hops_and_silence_beyond() -> None:
    pcm = noise(0.5, 0.3)
    inner = synthesise(analyse(pcm).cut(10, 30))
    np.testing.assert_allclose(inner, pcm[1600:4800], atol=1e-5)
    wide = synthesise(analyse(pcm).cut(-5, 60))
    np.testing.assert_allclose(wide[800:8800], pcm, atol=1e-5)
    assert not wide[8800:].round(5).any()


def test_silence_is_cut_only_where_it_is_long() -> None:
    short = np.concatenate([tone(1), silence(0.25), tone(1)])
    long = np.concatenate([tone(1), silence(0.7), tone(1)])
    assert silence_cut(analyse(short)).hops == 225
    # A window reaches over the silence's edges.
    assert 200 <= silence_cut(analyse(long)).hops <= 206


def test_noise_below_a_tone_is_measured_and_taken_away() -> None:
    hiss = noise(3, 0.005)
    event = np.concatenate([silence(1), tone(1), silence(1)])
    spectrogram = analyse(event + hiss)
    profile = noise_profile(spectrogram)
    truth = np.abs(analyse(hiss).own).mean(axis=0)
    assert abs(db(float(np.square(profile).sum() / np.square(truth).sum()))) < 2
    clean = synthesise(denoise(spectrogram, profile))
    assert db(energy(clean[:8000]) / energy(hiss[:8000])) < -5
    assert abs(db(energy(clean[20_000:28_000]) / energy(event[20_000:28_000]))) < 0.1


def test_a_steady_sound_is_no_noise() -> None:
    for pcm in (tone(2), noise(2, 0.1), tone(2) + noise(2, 0.02)):
        assert not noise_profile(analyse(pcm)).any()
        assert silence_cut(analyse(pcm)).hops == 200
        assert db(energy(tfjp(pcm).pcm_S) / energy(pcm)) > -0.5


def test_the_core_is_where_the_event_is() -> None:
    pcm = np.concatenate([noise(1, 0.001), tone(0.5), noise(2, 0.001, 1)])
    first, end = core_locate(analyse(pcm))
    assert abs(first - 100) <= 2
    assert abs(end - 150) <= 2


def test_a_tone_is_more_of_a_core_than_noise_as_loud() -> None:
    hiss = noise(1, 0.05)
    beep = tone(0.5, float(np.sqrt(2) * hiss.std()))
    first, end = core_locate(analyse(np.concatenate([hiss * 0.06, beep, hiss * 0.06])))
    assert abs(first - 100) <= 2
    assert abs(end - 150) <= 2


@pytest.mark.parametrize("core", [(0, 1), (0, 50), (13, 34), (80, 100), (0, 100), (99, 100)])
def test_boundaries_snap_to_the_grid_around_the_core(core: tuple[int, int]) -> None:
    pcm = noise(1, 0.3)
    normed = boundary_norm(analyse(pcm), core)
    assert normed.hops % GRID_HOPS == 0
    assert normed.hops - (core[1] - core[0]) < 2 * GRID_HOPS
    kept = pcm[core[0] * HOP_SAMPLES : core[1] * HOP_SAMPLES]
    windows = np.lib.stride_tricks.sliding_window_view(synthesise(normed), len(kept))
    assert np.isclose(windows[::HOP_SAMPLES], kept, atol=1e-5).all(axis=1).any()


def test_both_ends_rise_from_nothing_over_20_ms() -> None:
    pcm = tone(0.4, 1.0, 3000)
    smooth = synthesise(spec_smooth(analyse(pcm)))
    rise = np.sin(np.arange(320) / 320 * np.pi / 2) ** 2
    np.testing.assert_allclose(smooth[:320], pcm[:320] * rise, atol=1e-4)
    np.testing.assert_allclose(smooth[320:-320], pcm[320:-320], atol=1e-4)
    assert np.abs(smooth[-16:]).max() < 0.01


@pytest.mark.parametrize(
    ("pcm", "reason"),
    [
        (np.zeros(0, np.float32), "samples"),
        (np.zeros((2, 100), np.float32), "one channel"),
        (silence(1), "silent"),
        (np.array([0.1, np.nan, np.inf], np.float32), "2 samples are no numbers"),
    ],
)
def test_what_is_no_event_is_refused_and_said_why(pcm: Pcm, reason: str) -> None:
    with pytest.raises(UnusableClipError, match=reason):
        tfjp(pcm)


@pytest.mark.parametrize("samples", [1, 40, 161, 1599])
def test_the_shortest_clip_is_one_step_of_the_grid(samples: int) -> None:
    assert len(tfjp(tone(1)[1 : samples + 1]).pcm_S) == GRID_SAMPLES


def test_a_spectrogram_has_frames_that_only_reach_into_it() -> None:
    assert analyse(tone(0.1)).hops == 10
    with pytest.raises(ValueError, match="spectrum of a clip"):
        Spectrogram(np.zeros((2 * HALO - 1, 321), np.complex64))
