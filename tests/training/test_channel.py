from pathlib import Path

import numpy as np
import pytest

from soundflow.audio import SAMPLE_RATE_HZ, Pcm
from training.composition.channel import (
    CLEAR,
    LINE_CODECS,
    WIDE_CODECS,
    Channel,
    Codec,
    carried,
    coded,
    reverberated,
    telephoned,
)
from training.curation.recordings import read_pcm

PROMPT = Path(__file__).parents[1] / "data" / "prompts" / "conf-invalid.flac"


@pytest.fixture(scope="module")
def speech() -> Pcm:
    """A sentence with silence around it."""
    return np.pad(read_pcm(PROMPT), (8000, 9001))


def lag_and_likeness(one: Pcm, other: Pcm) -> tuple[int, float]:
    """Return by how many samples the other is late, and how alike they are then."""
    size = 2 * len(one)
    spectra = [np.fft.rfft(each, size) for each in (one, other)]
    likeness = np.fft.irfft(spectra[0].conj() * spectra[1], size)
    place = int(likeness.argmax())
    most = float(np.linalg.norm(one) * np.linalg.norm(other))
    return place if place < len(one) else place - size, float(likeness.max()) / most


@pytest.mark.parametrize("compression", [0.3, 0.95])
@pytest.mark.parametrize("codec", WIDE_CODECS)
def test_a_codec_keeps_every_sample_in_its_place(
    speech: Pcm, codec: Codec, compression: float
) -> None:
    heard = coded(speech, codec, compression=compression)
    assert len(heard) == len(speech) and heard.dtype == np.float32
    lag, likeness = lag_and_likeness(speech, heard)
    assert abs(lag) <= 1 and likeness > 0.9
    assert (heard != speech).any()


@pytest.mark.parametrize("codec", LINE_CODECS)
def test_a_line_carries_nothing_above_4_khz(codec: Codec) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(scale=0.1, size=SAMPLE_RATE_HZ).astype(np.float32)
    heard = telephoned(noise, codec)
    assert len(heard) == len(noise)
    power = np.square(np.abs(np.fft.rfft(heard)))
    hz = np.fft.rfftfreq(len(heard), 1 / SAMPLE_RATE_HZ)
    assert power[hz > 4100].sum() < 1e-3 * power.sum()
    assert abs(lag_and_likeness(noise, heard)[0]) <= 1


@pytest.mark.parametrize("decay_s", [0.15, 0.8])
def test_a_room_answers_and_dies_away(decay_s: float) -> None:
    click = np.zeros(2 * SAMPLE_RATE_HZ, np.float32)
    click[100] = 1.0
    heard = reverberated(click, decay_s, -6.0, np.random.default_rng(0))
    assert not heard[:100].round(6).any()
    assert heard[100] == pytest.approx(1.0, abs=1e-5)
    echoes = np.square(heard[101:], dtype=np.float64)
    assert 10 * np.log10(echoes.sum()) == pytest.approx(-6.0, abs=0.1)
    # Schroeder's curve: what is left after half of the decay is 30 dB down.
    left = echoes[::-1].cumsum()[::-1]
    half = round(decay_s / 2 * SAMPLE_RATE_HZ)
    assert 10 * np.log10(left[half] / left[0]) == pytest.approx(-30, abs=3)


def test_a_room_keeps_speech_in_its_place(speech: Pcm) -> None:
    heard = reverberated(speech, 0.4, -6.0, np.random.default_rng(0))
    assert lag_and_likeness(speech, heard)[0] == 0


def test_the_same_chance_carries_the_same_way(speech: Pcm) -> None:
    rngs = [np.random.default_rng(5) for _ in range(2)]
    one, other = (carried(speech, Channel(1.0, 0.0, 1.0), rng) for rng in rngs)
    assert (one == other).all() and len(one) == len(speech)
    assert carried(speech, CLEAR, rngs[0]) is speech
