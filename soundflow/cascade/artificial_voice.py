"""A voice that nobody has, for what the encoder must hear before it can be told of silence."""

import numpy as np
from numpy.typing import NDArray

from soundflow.audio import SAMPLE_RATE_HZ

Array = NDArray[np.float32]


def artificial_voice(seconds: float = 1.8) -> Array:
    """Return PCM that Whisper's encoder takes for speech.

    A 120 Hz buzz in four syllables a second, shaped by two formants that move.
    """
    time = np.arange(int(seconds * 100) * SAMPLE_RATE_HZ // 100) / SAMPLE_RATE_HZ
    harmonic = 120 * np.arange(1, 33)[:, None]
    first = 500 + 250 * np.sin(2 * np.pi * 2 * time)
    second = 1500 + 600 * np.sin(2 * np.pi * 4 / 3 * time)
    gain = 1 / (1 + ((harmonic - first) / 80) ** 2) + 0.5 / (1 + ((harmonic - second) / 120) ** 2)
    syllables = np.abs(np.sin(2 * np.pi * 2 * time))
    voice = (gain * np.sin(2 * np.pi * harmonic * time)).sum(0) * syllables
    scaled: Array = (0.2 * voice / np.abs(voice).max()).astype(np.float32)
    return scaled
