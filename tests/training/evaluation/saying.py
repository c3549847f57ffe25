"""What models under test are made of in these tests: turns written by hand."""

from collections.abc import Callable

import numpy as np

from soundflow.audio import CHUNK_SAMPLES, Pcm
from soundflow.interaction import Kind, SessionSpec
from training.evaluation.subject import Heard, Screen, Turn


def turn(chunk: int, *screens: tuple[int, str]) -> Turn:
    """Make a turn; without screens it says "ok" at once."""
    told = screens or ((chunk, "ok"),)
    return Turn(chunk, Kind.ANSWER, "", tuple(Screen(at, text) for at, text in told))


class Saying:
    """A subject that says what a function finds in the audio."""

    def __init__(self, says: Callable[[Pcm, SessionSpec], tuple[Turn, ...]]) -> None:
        self._says = says

    def hear(self, pcm: Pcm, spec: SessionSpec) -> Heard:
        assert len(pcm) % CHUNK_SAMPLES == 0
        return Heard(len(pcm) // CHUNK_SAMPLES, self._says(pcm, spec))


def loud_chunks(pcm: Pcm) -> list[int]:
    """Return the chunks in which a burst begins."""
    loud = np.abs(pcm.reshape(-1, CHUNK_SAMPLES)).max(axis=1) > 0.3
    return [n for n in range(len(loud)) if loud[n] and not (n and loud[n - 1])]
