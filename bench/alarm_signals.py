"""Alarms made after their standards, where no recording ships in a package.

A smoke alarm and an electronic siren are synthetic in life too; what is missing here is the
recording of a real one, so they are reported apart from the recordings.
"""

import numpy as np
from numpy.typing import NDArray

from soundflow.audio import SAMPLE_RATE_HZ, Pcm

Signal = NDArray[np.float64]


def smoke_alarm(seed: int) -> Pcm:
    """Three cycles of ISO 8201's three pulses, by a piezo sounder near 3 kHz, in a room."""
    rng = np.random.default_rng([seed, 8201])
    pulse, gap = np.ones(SAMPLE_RATE_HZ // 2), np.zeros(SAMPLE_RATE_HZ // 2)
    cycle = np.concatenate([pulse, gap, pulse, gap, pulse, np.zeros(3 * SAMPLE_RATE_HZ // 2)])
    envelope = np.tile(cycle, 3)
    tone = _tone(np.full(envelope.size, rng.uniform(2800.0, 3500.0)), harmonics=(1.0, 0.3))
    return _in_a_room(envelope * tone, rng)


def electronic_siren(seed: int) -> Pcm:
    """Eight seconds of wail or yelp, as police and ambulances use them, in a street."""
    rng = np.random.default_rng([seed, 1500])
    period_s = rng.uniform(3.0, 5.0) if seed % 2 else rng.uniform(0.25, 0.5)
    seconds = np.arange(8 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    rise = 1 - np.abs(2 * ((seconds / period_s) % 1) - 1)
    low_hz, high_hz = rng.uniform(450.0, 650.0), rng.uniform(1300.0, 1700.0)
    return _in_a_room(_tone(low_hz + (high_hz - low_hz) * rise, harmonics=(1.0, 0.0, 0.3)), rng)


def _tone(hz: Signal, *, harmonics: tuple[float, ...]) -> Signal:
    phase = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE_HZ
    overtones = [gain * np.sin(n * phase) for n, gain in enumerate(harmonics, start=1)]
    tone: Signal = np.sum(overtones, axis=0)
    return tone


def _in_a_room(signal: Signal, rng: np.random.Generator) -> Pcm:
    """Add reverberation: noise that decays by 60 dB in 0.2 to 0.7 s, half as strong."""
    decay = np.linspace(0.0, 1.0, int(rng.uniform(0.2, 0.7) * SAMPLE_RATE_HZ))
    response = rng.normal(size=decay.size) * 10 ** (-3 * decay)
    echo = np.convolve(signal, 0.5 * response / np.linalg.norm(response))
    echo[: signal.size] += signal
    return echo.astype(np.float32)
