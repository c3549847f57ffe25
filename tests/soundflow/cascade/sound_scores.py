"""Score sequences for the tests of what is made of them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from soundflow.cascade.sound_classes import CLASS_NAMES, places

Scores = NDArray[np.float32]


def scores(levels: Mapping[str, float]) -> Scores:
    """Return the scores of one chunk: the classes named, and nothing else."""
    chunk = np.zeros(len(CLASS_NAMES), np.float32)
    for name, level in levels.items():
        chunk[places([name])] = level
    return chunk


SILENCE = scores({"Silence": 0.99})
SMOKE_ALARM = scores({"Smoke detector, smoke alarm": 0.9, "Alarm": 0.9, "Beep, bleep": 0.8})
GLASS = scores({"Glass": 0.8, "Breaking": 0.8, "Shatter": 0.7})
BARK = scores({"Animal": 0.98, "Domestic animals, pets": 0.95, "Dog": 0.95, "Bark": 0.8})
SPEECH = scores({"Speech": 0.98, "Narration, monologue": 0.2})
