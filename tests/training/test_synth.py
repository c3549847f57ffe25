import shutil

import numpy as np
import pytest

from soundflow.audio import SAMPLE_RATE_HZ, Pcm
from tests.training.echo import Echo
from training.speech.voices import Manner, VoiceError, installed_voices
from training.synth import NotUnderstood, Speaker, WhisperRecogniser, error_rate

TEXT = "What is the capital of France?"


def test_what_is_understood_is_said_once() -> None:
    echo = Echo()
    booth = echo.booth()
    pcm = booth.say(Speaker(echo, Manner()), TEXT)
    assert echo.transcribe(pcm) == TEXT
    assert booth.tally == {"understood": 1}


def test_what_is_not_understood_is_said_twice_more_and_more_slowly() -> None:
    echo = Echo(mumbles=2)
    booth = echo.booth()
    booth.say(Speaker(echo, Manner()), TEXT)
    assert [each.pace for each in echo.manners] == pytest.approx([1.0, 0.9, 0.81])
    assert booth.tally == {"understood on a retry": 1}


def test_what_is_never_understood_is_given_up_after_two_retries() -> None:
    echo = Echo(mumbles=99)
    booth = echo.booth()
    with pytest.raises(NotUnderstood, match="capital of France"):
        booth.say(Speaker(echo, Manner()), TEXT)
    assert len(echo.manners) == 3
    assert booth.tally == {"not understood": 1}


def test_numbers_are_said_in_words() -> None:
    echo = Echo()
    pcm = echo.booth().say(Speaker(echo, Manner()), "It costs $3.50.")
    assert echo.transcribe(pcm) == "It costs three dollars and fifty cents."


@pytest.mark.parametrize(
    ("said", "heard", "rate"),
    [
        ("It costs three dollars.", "it costs $3", 0.0),
        ("at seven thirty p m", "At 7:30 pm.", 0.0),
        ("one two three four", "one two four", 0.25),
        ("hello there", "", 1.0),
    ],
)
def test_errors_are_counted_in_words_however_they_are_written(
    said: str, heard: str, rate: float
) -> None:
    assert error_rate(said, heard) == pytest.approx(rate)


def test_who_speaks_depends_on_the_seed_alone() -> None:
    pool = [Echo(), Echo(), Echo()]
    drawn = [Speaker.drawn(pool, np.random.default_rng(seed)) for seed in range(50)]
    again = [Speaker.drawn(pool, np.random.default_rng(seed)) for seed in range(50)]
    assert drawn == again
    assert {id(each.voice) for each in drawn} == {id(each) for each in pool}
    assert len({each.manner for each in drawn}) == 50


def test_without_a_synthesiser_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(VoiceError, match="`flite` or `espeak-ng`"):
        installed_voices()


def test_voices_are_those_that_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name == "flite" or None)
    assert {each.name.partition("-")[0] for each in installed_voices()} == {"flite"}


@pytest.mark.skipif(not shutil.which("flite"), reason="needs flite")
def test_flite_says_the_same_each_time_and_faster_where_asked_to() -> None:
    voice = installed_voices()[0]
    pcm = voice.say(TEXT, Manner())
    np.testing.assert_array_equal(voice.say(TEXT, Manner()), pcm)
    assert np.abs(pcm).max() * 4 > 0.5 and len(pcm) > 16_000
    assert len(voice.say(TEXT, Manner(pace=1.25))) == pytest.approx(len(pcm) / 1.25, rel=0.05)


@pytest.mark.skipif(not shutil.which("flite"), reason="needs flite")
def test_higher_resonances_move_the_spectrum_and_neither_pace_nor_pitch() -> None:
    voice = installed_voices()[0]
    pcm, higher = voice.say(TEXT, Manner()), voice.say(TEXT, Manner(resonance=1.15))
    assert len(higher) == pytest.approx(len(pcm), rel=0.05)
    assert pitch_hz(higher) == pytest.approx(pitch_hz(pcm), rel=0.08)
    assert centroid_hz(higher) > 1.05 * centroid_hz(pcm)


def pitch_hz(pcm: Pcm) -> float:
    """Return the lag at which speech repeats itself most, over all of it."""
    power = np.square(np.abs(np.fft.rfft(pcm, 2 * len(pcm))))
    repeats = np.fft.irfft(power)[SAMPLE_RATE_HZ // 300 : SAMPLE_RATE_HZ // 100]
    return SAMPLE_RATE_HZ / (SAMPLE_RATE_HZ // 300 + int(np.argmax(repeats)))


def centroid_hz(pcm: Pcm) -> float:
    power = np.square(np.abs(np.fft.rfft(pcm)))
    return float(np.average(np.fft.rfftfreq(len(pcm), 1 / SAMPLE_RATE_HZ), weights=power))


@pytest.mark.models
@pytest.mark.skipif(not shutil.which("flite"), reason="needs flite")
def test_the_projects_recogniser_understands_a_voice_and_finds_its_words() -> None:
    recogniser = WhisperRecogniser()
    pcm = installed_voices()[0].say(TEXT, Manner())
    assert error_rate(TEXT, recogniser.transcribe(pcm)) == 0.0
    words = recogniser.align(pcm, TEXT)
    assert [word.text.strip() for word in words] == TEXT.split()
    assert words[-1].end_ms <= len(pcm) / 16 + 20
