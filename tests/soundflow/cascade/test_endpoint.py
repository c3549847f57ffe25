"""The rules by which speech begins and ends, window by window."""

from collections.abc import Sequence

import pytest

from soundflow.cascade.endpoint import VAD_WINDOW_MS, Endpoint, EndpointSettings, Phase

SETTINGS = EndpointSettings(
    speech_above=0.5,
    silence_below=0.35,
    evidence_ms=4 * VAD_WINDOW_MS,
    sure_above=0.8,
    least_speech_score=0.05,
    pause_ms=5 * VAD_WINDOW_MS,
)


def phases(probabilities: Sequence[float], *, speech_score: float = 0.9) -> list[Phase]:
    endpoint = Endpoint(SETTINGS)
    seen = []
    for window, probability in enumerate(probabilities):
        endpoint.hear(probability, window * VAD_WINDOW_MS, speech_score)
        seen.append(endpoint.phase)
    return seen


def test_enough_speech_opens_and_a_pause_closes() -> None:
    seen = phases([0.0, 0.9, 0.9, 0.9, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert seen == [Phase.QUIET, *[Phase.MAYBE] * 3, *[Phase.SPEECH] * 5, Phase.QUIET]


def test_a_short_pause_is_part_of_the_utterance() -> None:
    assert phases([0.9] * 4 + [0.0] * 4 + [0.9] + [0.0] * 4)[-1] is Phase.SPEECH


def test_between_the_thresholds_speech_goes_on_but_does_not_begin() -> None:
    assert phases([0.4] * 20)[-1] is Phase.QUIET
    assert phases([0.9] * 4 + [0.4] * 20)[-1] is Phase.SPEECH


@pytest.mark.parametrize(
    ("probabilities", "speech_score"),
    [([0.9] * 3 + [0.0] * 9, 0.9), ([0.7] * 20, 0.9), ([0.9] * 20, 0.01)],
    ids=["too short", "never sure", "not speech by its sound class"],
)
def test_weak_evidence_opens_nothing(probabilities: list[float], speech_score: float) -> None:
    assert Phase.SPEECH not in phases(probabilities, speech_score=speech_score)


def test_evidence_does_not_add_up_over_pauses() -> None:
    assert Phase.SPEECH not in phases(([0.9] * 3 + [0.0] * 5) * 10)


def test_it_says_where_speech_began_and_ended() -> None:
    endpoint = Endpoint(SETTINGS)
    for window, probability in enumerate([0.0, 0.0, 0.9, 0.9, 0.9, 0.9, 0.0]):
        endpoint.hear(probability, window * VAD_WINDOW_MS, 0.9)
    assert (endpoint.began_ms, endpoint.spoke_until_ms) == (2 * VAD_WINDOW_MS, 6 * VAD_WINDOW_MS)
