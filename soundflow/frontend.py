"""Spectral front ends as streams: PCM in hop-sized pieces to log-mel frames, with explicit carry.

Shape suffixes: S samples, T frames (10 ms apart), W window, F frequency bins, M mel bands.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soundflow.audio import SAMPLE_RATE_HZ

Array = NDArray[np.float32]

WINDOW_SAMPLES = 400
HOP_SAMPLES = 160

WHISPER_FFT = WINDOW_SAMPLES
WHISPER_FLOOR = 1e-10
# A Whisper frame is centred: it reaches 200 samples past its own place. Emitting frames one hop
# late gives each its right half, and leaves 360 samples that the next piece's first frame needs.
WHISPER_DELAY_FRAMES = 1
WHISPER_CARRY_SAMPLES = WINDOW_SAMPLES // 2 + WHISPER_DELAY_FRAMES * HOP_SAMPLES

YAMNET_FFT = 512
YAMNET_MELS = 64
YAMNET_LOW_HZ, YAMNET_HIGH_HZ = 125.0, 7500.0
YAMNET_LOG_OFFSET = 0.001
YAMNET_CARRY_SAMPLES = WINDOW_SAMPLES - HOP_SAMPLES

HANN_W = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)).astype(
    np.float32
)


@dataclass(frozen=True, slots=True)
class Carry:
    """What a front end keeps of the past: the samples its next window reaches back over.

    tail: `(S,)`; empty before the first piece.
    """

    tail: Array

    @classmethod
    def empty(cls) -> "Carry":
        """Return the carry of a stream that has heard nothing."""
        return cls(np.empty(0, np.float32))


def whisper_log_mel(pcm_S: Array, carry: Carry, mel_MF: Array) -> tuple[Array, Carry]:
    """Turn S samples into `(S / 160, M)` raw log10 mel frames, and the next carry.

    S is a positive multiple of 160, in the first piece at least 320. Frame t of the stream is
    centred at sample `160 * (t - 1)`: it is frame `t - 1` of Whisper's own spectrogram of the whole
    clip (reflected at its left edge), 10 ms late; frame 0 lies before the clip. `mel_MF` is
    `whisper_mel(80)` or `whisper_mel(128)`.
    """
    _check_hops(pcm_S)
    tail_S = carry.tail if carry.tail.size else _reflected_left_edge(pcm_S)
    heard_S = np.concatenate([tail_S, pcm_S])
    power_TF = _magnitudes(heard_S, WHISPER_FFT) ** 2
    mel_TM = np.log10(np.maximum(_bands(power_TF, mel_MF), WHISPER_FLOOR))
    return mel_TM.astype(np.float32), Carry(heard_S[-WHISPER_CARRY_SAMPLES:])


def whisper_normalise(log_mel_TM: Array) -> Array:
    """Scale raw log10 frames as Whisper's encoder wants them.

    The floor lies 8 below the loudest value of the frames given, so it is for the consumer to
    choose which frames belong together.
    """
    floored_TM: Array = np.maximum(log_mel_TM, log_mel_TM.max() - 8.0)
    return (floored_TM + 4.0) / 4.0


def yamnet_log_mel(pcm_S: Array, carry: Carry, mel_MF: Array) -> tuple[Array, Carry]:
    """Turn S samples into `(S / 160, 64)` natural-log mel frames, and the next carry.

    S is a positive multiple of 160. Frame t of the stream ends with sample `160 * (t + 1)`;
    digital silence is taken to lie before the first sample. `mel_MF` is `yamnet_mel()`.
    """
    _check_hops(pcm_S)
    tail_S = carry.tail if carry.tail.size else np.zeros(YAMNET_CARRY_SAMPLES, np.float32)
    heard_S = np.concatenate([tail_S, pcm_S])
    mel_TM = np.log(_bands(_magnitudes(heard_S, YAMNET_FFT), mel_MF) + YAMNET_LOG_OFFSET)
    return mel_TM.astype(np.float32), Carry(heard_S[-YAMNET_CARRY_SAMPLES:])


def whisper_mel(bands: int) -> Array:
    """Return Whisper's `(bands, 201)` filters: Slaney mel scale over 0-8 kHz, each of unit area."""
    edges_hz = _slaney_hz(np.linspace(0.0, _slaney_mel(SAMPLE_RATE_HZ / 2), bands + 2))
    bins_hz = np.linspace(0.0, SAMPLE_RATE_HZ / 2, WHISPER_FFT // 2 + 1)
    area = 2.0 / (edges_hz[2:] - edges_hz[:-2])
    return (_triangles(bins_hz, edges_hz) * area[:, None]).astype(np.float32)


def yamnet_mel() -> Array:
    """Return YAMNet's `(64, 257)` filters: HTK scale, triangles straight in mel, not in hertz."""
    low, high = _htk_mel(np.array([YAMNET_LOW_HZ, YAMNET_HIGH_HZ]))
    bins_hz = np.linspace(0.0, SAMPLE_RATE_HZ / 2, YAMNET_FFT // 2 + 1)
    edges = np.linspace(low, high, YAMNET_MELS + 2)
    return _triangles(_htk_mel(bins_hz), edges).astype(np.float32)


def _check_hops(pcm_S: Array) -> None:
    if pcm_S.ndim != 1 or not pcm_S.size or pcm_S.size % HOP_SAMPLES:
        raise ValueError(f"a piece is a whole number of {HOP_SAMPLES} samples, got {pcm_S.shape=}")


def _reflected_left_edge(pcm_S: Array) -> Array:
    """Mirror the clip's beginning, as Whisper does; before that, silence."""
    if pcm_S.size < 2 * HOP_SAMPLES:
        raise ValueError(f"the first piece is at least {2 * HOP_SAMPLES} samples, got {pcm_S.size}")
    mirror_S = pcm_S[WINDOW_SAMPLES // 2 : 0 : -1]
    return np.concatenate([np.zeros(WHISPER_CARRY_SAMPLES - mirror_S.size, np.float32), mirror_S])


def _magnitudes(heard_S: Array, fft: int) -> NDArray[np.floating]:
    windows_TW = np.lib.stride_tricks.sliding_window_view(heard_S, WINDOW_SAMPLES)[::HOP_SAMPLES]
    return np.abs(np.fft.rfft(windows_TW * HANN_W, n=fft))


def _bands(spectrum_TF: NDArray[np.floating], mel_MF: Array) -> NDArray[np.floating]:
    # Not `@`: a product this small gains nothing from BLAS, whose threads, on a busy machine, wait
    # for one another a hundred times longer than they work.
    mel_TM: NDArray[np.floating] = np.einsum("tf,mf->tm", spectrum_TF, mel_MF)
    return mel_TM


def _triangles(points: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evaluate, at each point, the triangles that rise and fall between neighbouring edges."""
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (points - lower) / (centre - lower)
    falling = (upper - points) / (upper - centre)
    return np.maximum(0.0, np.minimum(rising, falling))


# Slaney's scale is linear (3 mel per 200 Hz) up to 1 kHz, then 27 mel per factor of 6.4.
_SLANEY_BREAK_HZ, _SLANEY_BREAK_MEL = 1000.0, 15.0
_SLANEY_HZ_PER_MEL = 200.0 / 3.0
_SLANEY_LOG_STEP = np.log(6.4) / 27.0


def _slaney_mel(hz: float) -> float:
    """Convert a frequency above 1 kHz."""
    return float(_SLANEY_BREAK_MEL + np.log(hz / _SLANEY_BREAK_HZ) / _SLANEY_LOG_STEP)


def _slaney_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithmic = _SLANEY_BREAK_HZ * np.exp((mel - _SLANEY_BREAK_MEL) * _SLANEY_LOG_STEP)
    return np.where(mel < _SLANEY_BREAK_MEL, mel * _SLANEY_HZ_PER_MEL, logarithmic)


def _htk_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1127.0 * np.log1p(hz / 700.0)
