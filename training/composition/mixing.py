"""Levels, fades and endless beds: the small arithmetic of putting sounds together.

Levels are RMS in dB below full scale, of the frames that sound: pauses do not make a clip quiet.
Shape suffix: S samples.
"""

import numpy as np

from soundflow.audio import SAMPLE_RATE_HZ, Pcm

FRAME_SAMPLES = SAMPLE_RATE_HZ // 50  # 20 ms
# A frame this far below the loudest one is a pause.
PAUSE_DB = 30.0
FADE_SAMPLES = SAMPLE_RATE_HZ // 50
CROSSFADE_SAMPLES = SAMPLE_RATE_HZ // 4
QUIETEST_DB = -120.0


def level_db(pcm_S: Pcm) -> float:
    """Return a clip's level; QUIETEST_DB where it is silent."""
    frames = np.pad(pcm_S, (0, -len(pcm_S) % FRAME_SAMPLES)).reshape(-1, FRAME_SAMPLES)
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    sounding = power[power > power.max(initial=0.0) * 10 ** (-PAUSE_DB / 10)]
    if not sounding.size:
        return QUIETEST_DB
    return max(QUIETEST_DB, float(10 * np.log10(sounding.mean())))


def at_level(pcm_S: Pcm, target_db: float) -> Pcm:
    """Return a clip at another level; what is silent stays so."""
    now_db = level_db(pcm_S)
    if now_db <= QUIETEST_DB:
        return pcm_S
    return (pcm_S * np.float32(10 ** ((target_db - now_db) / 20))).astype(np.float32)


def faded(pcm_S: Pcm, samples: int = FADE_SAMPLES) -> Pcm:
    """Let a clip rise and fall, so that nothing clicks where it is joined to another."""
    samples = min(samples, len(pcm_S) // 2)
    faded_S = pcm_S.copy()
    rise_S = _rise(samples)
    faded_S[:samples] *= rise_S
    faded_S[len(pcm_S) - samples :] *= rise_S[::-1]
    return faded_S


def tiled(pcm_S: Pcm, samples: int, start: int = 0) -> Pcm:
    """Repeat a clip for so long, from some place in it; each time it fades over into itself.

    The two add up in power, as sounds that have nothing to do with each other do.
    """
    overlap = min(CROSSFADE_SAMPLES, len(pcm_S) // 2)
    rise_S = np.sqrt(_rise(overlap))
    loop_S = pcm_S[: len(pcm_S) - overlap].copy()
    loop_S[:overlap] = loop_S[:overlap] * rise_S + pcm_S[len(pcm_S) - overlap :] * rise_S[::-1]
    start %= len(loop_S)
    times = -(-(start + samples) // len(loop_S))
    return np.tile(loop_S, times)[start : start + samples]


def add(mix_S: Pcm, pcm_S: Pcm, start: int) -> None:
    """Mix a clip into a longer one, in place."""
    mix_S[start : start + len(pcm_S)] += pcm_S


def _rise(samples: int) -> Pcm:
    """Half a Hann window."""
    rise_S: Pcm = np.sin((np.arange(samples) + 0.5) / max(samples, 1) * np.pi / 2) ** 2
    return rise_S.astype(np.float32)
