from collections.abc import Sequence

import numpy as np
import pytest

from soundflow.cascade.counting import BurstFinder, CountTracker
from soundflow.cascade.vocabulary import resolve_sound
from soundflow.frontend import Array
from tests.soundflow.cascade.sound_scores import BARK, SILENCE, SPEECH, Scores, scores

CHUNKS = 20


def tracker(what: str) -> CountTracker:
    group = resolve_sound(what)
    assert group is not None
    return CountTracker(group)


def frames(bursts_ms: Sequence[float], *, peak_db: float = 20.0, floor_db: float = -20.0) -> Array:
    """Log-mel frames whose summed power rises for 100 ms at each of the times given."""
    loudness_db = np.full(CHUNKS * 40, floor_db)
    for start_ms in bursts_ms:
        frame = int(start_ms / 10)
        loudness_db[frame : frame + 10] = peak_db
    return np.repeat(loudness_db[:, None] / 10 - np.log10(80), 80, axis=1).astype(np.float32)


def count(what: str, log_mel: Array, chunks: Sequence[Scores]) -> list[int]:
    counter = tracker(what)
    pieces = np.split(log_mel, CHUNKS)
    return [counter.hear(index, chunks[index], piece) for index, piece in enumerate(pieces)]


def heard(bursts_ms: Sequence[float], kind: Scores = BARK) -> list[Scores]:
    """Scores as YAMNet gives them: high in the chunks whose last 0.96 s hold a burst."""
    return [
        kind if any(-960 < start - end_ms < -50 for start in bursts_ms) else SILENCE
        for end_ms in range(400, 400 * (CHUNKS + 1), 400)
    ]


@pytest.mark.parametrize(
    "bursts_ms",
    [[], [1000], [1000, 1400], [1000, 1250, 1500], [390, 1990, 2200, 4100, 6390], [0]],
    ids=str,
)
def test_each_bark_is_counted_once(bursts_ms: list[float]) -> None:
    assert sum(count("dog barks", frames(bursts_ms), heard(bursts_ms))) == len(bursts_ms)


def test_a_bark_is_known_soon() -> None:
    counted = count("dog barks", frames([1000]), heard([1000]))
    assert counted.index(1) <= 1000 // 400 + 2


def test_bursts_of_other_sounds_are_not_counted() -> None:
    bursts_ms = [1000, 1300, 1600]
    assert sum(count("dog barks", frames(bursts_ms), heard(bursts_ms, SPEECH))) == 0


def test_an_echo_is_not_counted() -> None:
    log_mel = np.maximum(frames([1000]), frames([1300], peak_db=0.0))
    assert sum(count("dog barks", log_mel, heard([1000]))) == 1


def test_a_steady_loud_sound_is_one_burst() -> None:
    log_mel = frames([1000 + 100 * step for step in range(30)])
    assert sum(count("dog barks", log_mel, [BARK] * CHUNKS)) == 1


def test_a_lasting_sound_is_counted_by_stretches() -> None:
    rain = scores({"Rain": 0.9})
    chunks = [rain] * 5 + [SILENCE] * 5 + [rain] * 5 + [SILENCE] * 5
    assert sum(count("rain", frames([100, 500, 900]), chunks)) == 2


def test_cutting_the_frames_never_changes_the_bursts() -> None:
    loudness_db = np.random.default_rng(1).normal(0.0, 8.0, 400)
    whole = BurstFinder().hear(0, loudness_db)
    finder = BurstFinder()
    pieces = [
        burst for piece in np.split(loudness_db, [7, 40, 333]) for burst in finder.hear(0, piece)
    ]
    assert pieces == whole
    assert len(whole) > 5
