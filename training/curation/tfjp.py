"""Time-frequency joint preprocessing (arXiv 2606.05121): a raw clip becomes a clean event.

Six operators on one spectrogram, and the loop over them. None adds energy; what comes out is a
whole number of 200 ms. Shape suffixes: S samples, T frames of 10 ms, F frequency bins.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soundflow.audio import SAMPLE_RATE_HZ, Pcm
from training.curation.spectrogram import (
    BINS,
    EDGE_SAMPLES,
    HOP_SAMPLES,
    WINDOW_SAMPLES,
    Levels,
    Spectrogram,
    analyse,
    spectra,
    synthesise,
)

HOP_MS = 1000 * HOP_SAMPLES // SAMPLE_RATE_HZ  # 10

LONGEST_SILENCE_HOPS = 300 // HOP_MS  # τ
GATE_PERCENTILE = 10.0
NOISE_SHARE = 0.05
SUBTRACTION = 1.0  # γ
GRID_HOPS = 200 // HOP_MS  # δ
GRID_SAMPLES = GRID_HOPS * HOP_SAMPLES
TAPER_HOPS = 20 // HOP_MS  # ω
TAPER_SAMPLES = TAPER_HOPS * HOP_SAMPLES
ITERATIONS = 3  # K
# A round that still cuts is followed by another; each is shorter, and this is where it ends.
ROUNDS = 3

# Frames of one silence differ by no more than this.
GATE_MARGIN = 2.0  # 3 dB
# What is not this far below the loud frames is no silence and no noise, but sound: the quietest
# frames of a siren are the siren, of rain the rain. The paper does not say so; without it, a steady
# sound would be subtracted from itself. Loud: but for single crackles and clicks.
SOUND_RANGE = 10**2.0  # 20 dB
LOUD_PERCENTILE = 98.0
# Frames further below the loudest than this add nothing to a core.
CORE_RANGE_DB = 40.0
# Of entropies from 0 (one tone) to 1 (white noise): below this, purer tones score no better.
PUREST_ENTROPY = 0.5
# A core ends where its frames score less than this, of the best one's score.
CORE_SHARE = 0.25
# An iteration that takes less of the energy than this, and cuts nothing, changes nothing.
SETTLED_SHARE = 0.01


class UnusableClipError(ValueError):
    """There is no event in a clip: it is empty, silent, or no sound at all."""


@dataclass(frozen=True, slots=True)
class Curated:
    """What became of a clip.

    pcm_S: a whole number of GRID_SAMPLES. rounds, iterations: how often the loop ran.
    """

    pcm_S: Pcm
    rounds: int
    iterations: int


def tfjp(pcm_S: Pcm) -> Curated:
    """Cut silence, take noise away, and keep the core of an event. UnusableClipError."""
    spectrogram = analyse(_checked(pcm_S))
    rounds, iterations, still_cuts = 0, 0, True
    while still_cuts and rounds < ROUNDS:
        rounds += 1
        for _ in range(ITERATIONS):
            iterations += 1
            energy, hops = spectrogram.energies.sum(), spectrogram.hops
            spectrogram = silence_cut(spectrogram)
            spectrogram = denoise(spectrogram, noise_profile(spectrogram))
            still_cuts = spectrogram.hops < hops
            if not still_cuts and spectrogram.energies.sum() > (1 - SETTLED_SHARE) * energy:
                break
        spectrogram = spec_smooth(boundary_norm(spectrogram, core_locate(spectrogram)))
    return Curated(synthesise(spectrogram), rounds, iterations)


def silence_cut(spectrogram: Spectrogram) -> Spectrogram:
    """Take out every run of silent frames that is longer than 300 ms."""
    silent_T = silent_frames(spectrogram.energies)
    kept_T = np.ones(spectrogram.hops, np.bool_)
    for first, end in runs(silent_T):
        if end - first > LONGEST_SILENCE_HOPS:
            kept_T[first:end] = False
    return spectrogram.keep(kept_T)


def noise_profile(spectrogram: Spectrogram) -> Levels:
    """Return the magnitudes `(F,)` of the stationary noise, 0 where there is none to be told.

    It is the mean of the quietest frames.
    """
    energy_T = spectrogram.energies
    count = max(1, round(NOISE_SHARE * len(energy_T)))
    quietest = np.argsort(energy_T, kind="stable")[:count]
    noise = quietest[energy_T[quietest] <= quiet_energy(energy_T)]
    if not noise.size:
        return np.zeros(BINS)
    profile_F: Levels = np.abs(spectrogram.own[noise]).mean(axis=0, dtype=np.float64)
    return profile_F


def denoise(spectrogram: Spectrogram, noise_F: Levels) -> Spectrogram:
    """Subtract a noise's magnitudes from those of each frame; phases stay."""
    magnitude_TF = np.abs(spectrogram.frames_TF)
    rest_TF = np.maximum(magnitude_TF - SUBTRACTION * noise_F, 0.0)
    share_TF = rest_TF / np.maximum(magnitude_TF, np.finfo(np.float32).tiny)
    return Spectrogram((spectrogram.frames_TF * share_TF).astype(np.complex64))


def core_locate(spectrogram: Spectrogram) -> tuple[int, int]:
    """Return where the event is: the hops from one to another, the latter not included.

    A frame scores by how loud it is, and how far from white noise; the core is the span whose
    scores, less a share of the best one, have the greatest sum.
    """
    score_T = _scores(spectrogram)
    surplus_T = np.concatenate([[0.0], np.cumsum(score_T - CORE_SHARE * score_T.max())])
    lowest_T = np.minimum.accumulate(surplus_T)
    end = int(np.argmax(surplus_T - lowest_T))
    first = int(np.argmin(surplus_T[: end + 1]))
    return first, end


def boundary_norm(spectrogram: Spectrogram, core: tuple[int, int]) -> Spectrogram:
    """Snap a span to a whole number of 200 ms: the next one that holds all of it.

    It grows on both sides, so that what is smoothed lies outside of it; into what is there as long
    as there is any, else into silence.
    """
    first, end = core[0] - TAPER_HOPS, core[1] + TAPER_HOPS
    hops = -(-(end - first) // GRID_HOPS) * GRID_HOPS
    room = spectrogram.hops - hops
    if room == 0:  # it was snapped before
        return spectrogram
    middle = first - (hops - (end - first)) // 2
    start = max(0, min(middle, room)) if room > 0 else room // 2
    start = max(end - hops, min(start, first))
    return spectrogram.cut(start, start + hops)


def spec_smooth(spectrogram: Spectrogram) -> Spectrogram:
    """Let both ends rise and fall over 20 ms, with half a Hann window each."""
    rise_S = np.sin(np.linspace(0.0, np.pi / 2, TAPER_SAMPLES, endpoint=False)) ** 2
    touched = (EDGE_SAMPLES + TAPER_SAMPLES - 1) // HOP_SAMPLES + 1
    silence_S = np.zeros(EDGE_SAMPLES)
    weights_S = np.concatenate([silence_S, rise_S, np.ones(WINDOW_SAMPLES)])
    weights_TW = np.lib.stride_tricks.sliding_window_view(weights_S, WINDOW_SAMPLES)
    weights_TW = weights_TW[::HOP_SAMPLES][:touched].astype(np.float32)
    frames_TF = spectrogram.frames_TF.copy()
    # Each frame is weighted as samples, so that the sum of all is weighted exactly.
    for frames, weights in (
        (slice(touched), weights_TW),
        (slice(-touched, None), weights_TW[::-1, ::-1]),
    ):
        frames_TF[frames] = spectra(Spectrogram(frames_TF).windows(frames) * weights)
    return Spectrogram(frames_TF)


def silent_frames(energy_T: Levels) -> NDArray[np.bool_]:
    """Say which frames are silence: those at the level of the quietest tenth, if that is low."""
    gate = float(np.percentile(energy_T, GATE_PERCENTILE))
    if gate > quiet_energy(energy_T):
        return np.zeros(len(energy_T), np.bool_)
    return energy_T <= gate * GATE_MARGIN


def quiet_energy(energy_T: Levels) -> float:
    """Return the most that a frame may have to be something else than the clip's sound."""
    return float(np.percentile(energy_T, LOUD_PERCENTILE)) / SOUND_RANGE


def runs(flags_T: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return where flags are set: each run from its first to after its last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags_T, [False]]).astype(np.int8)))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]


def _checked(pcm_S: Pcm) -> Pcm:
    if pcm_S.ndim != 1 or not pcm_S.size:
        raise UnusableClipError(f"a clip has samples of one channel, got {pcm_S.shape=}")
    if not np.isfinite(pcm_S).all():
        raise UnusableClipError(f"{int((~np.isfinite(pcm_S)).sum())} samples are no numbers")
    if not pcm_S.any():
        raise UnusableClipError("the clip is silent")
    return pcm_S


def _scores(spectrogram: Spectrogram) -> Levels:
    power_TF = np.square(np.abs(spectrogram.own)).astype(np.float64)
    energy_T = power_TF.sum(axis=1)
    tiny = np.finfo(np.float64).tiny
    share_TF = power_TF / np.maximum(energy_T, tiny)[:, None]
    entropy_T = -(share_TF * np.log(np.maximum(share_TF, tiny))).sum(axis=1) / np.log(BINS)
    level_db_T = 10 * np.log10(np.maximum(energy_T, tiny) / max(energy_T.max(), tiny))
    loudness_T = np.maximum(0.0, 1.0 + level_db_T / CORE_RANGE_DB)
    score_T: Levels = loudness_T / np.maximum(entropy_T, PUREST_ENTROPY)
    return score_T
