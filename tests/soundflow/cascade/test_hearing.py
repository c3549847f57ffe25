"""The policy on signals, through the real encoder."""

from collections.abc import Iterator

import numpy as np
import pytest

from bench.alarm_signals import electronic_siren, smoke_alarm
from bench.sound_trials import at_level
from soundflow.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ, Chunk, Pcm
from soundflow.cascade.encoder import CascadeEncoder
from soundflow.cascade.sounds import AlarmTracker

pytestmark = pytest.mark.models

SECOND = SAMPLE_RATE_HZ


@pytest.fixture(scope="module")
def encoder() -> CascadeEncoder:
    return CascadeEncoder.pretrained()


def pause(seconds: float) -> Pcm:
    return np.zeros(int(seconds * SECOND), np.float32)


def alarms(encoder: CascadeEncoder, *sounds: Pcm) -> Iterator[tuple[str, int]]:
    """Play sounds in a quiet room; yield which rows speak, and in which chunk."""
    pcm = np.concatenate(sounds)
    pcm = np.pad(pcm, (0, -pcm.size % CHUNK_SAMPLES))
    pcm = (pcm + np.random.default_rng(1).normal(0.0, 1e-3, pcm.size)).astype(np.float32)
    tracker, state = AlarmTracker(), encoder.initial()
    for index, piece in enumerate(np.split(pcm, pcm.size // CHUNK_SAMPLES)):
        [(features, state)] = encoder.encode([(Chunk("call", index, piece), state)])
        alarm = tracker.hear(index, features.tensors["sound_scores"].astype(np.float32))
        if alarm:
            yield alarm.row.name, index


def test_a_smoke_alarm_is_answered_soon_and_once(encoder: CascadeEncoder) -> None:
    [(row, index)] = alarms(encoder, pause(2), at_level(smoke_alarm(100), -20.0), pause(3))
    assert row == "smoke alarm"
    assert 5 <= index <= 9, "the alarm begins in chunk 5"


def test_a_second_smoke_alarm_is_answered_again(encoder: CascadeEncoder) -> None:
    alarm = at_level(smoke_alarm(100), -20.0)
    answers = list(alarms(encoder, pause(2), alarm, pause(8), alarm, pause(2)))
    assert [row for row, _ in answers] == ["smoke alarm", "smoke alarm"]


def test_a_siren_is_answered_once(encoder: CascadeEncoder) -> None:
    answers = alarms(encoder, pause(2), at_level(electronic_siren(100), -20.0), pause(3))
    assert [row for row, _ in answers] == ["siren"]


def test_tones_and_noise_are_met_with_silence(encoder: CascadeEncoder) -> None:
    seconds = np.arange(4 * SECOND) / SECOND
    chord = sum(np.sin(2 * np.pi * hz * seconds) for hz in (220.0, 277.2, 329.6))
    hiss = np.random.default_rng(2).normal(size=4 * SECOND)
    sounds = [at_level(sound.astype(np.float32), -25.0) for sound in (np.asarray(chord), hiss)]
    assert list(alarms(encoder, pause(1), *sounds, pause(60))) == []
