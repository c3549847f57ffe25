from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from soundflow import checkpoint
from soundflow.cascade.turn_end import FILE, FRAMES, MELS, MODEL, TurnEnd
from soundflow.frontend import HOP_SAMPLES, Array, Carry, whisper_log_mel, whisper_mel

pytestmark = pytest.mark.models

RATE_HZ = 16_000
WINDOW_SAMPLES = 8 * RATE_HZ
PAUSE_SAMPLES = RATE_HZ // 5
PROMPTS = {
    "vm-savefolder": "Which folder should I save the message to?",
    "agent-pass": "Please enter your password followed by the pound key.",
    "conf-waitforleader": "The conference will begin when the leader arrives.",
    "conf-onlyperson": "You are currently the only person in this conference.",
    "conf-invalid": "That is not a valid conference number. Please try again.",
}


def speech(name: str) -> Array:
    path = Path(__file__).parents[2] / "data" / "prompts" / f"{name}.flac"
    pcm, rate_hz = soundfile.read(path, dtype="float32")
    whole: Array = np.asarray(soxr.resample(pcm, rate_hz, RATE_HZ), np.float32)
    return whole


def said(name: str, *, share: float = 1.0) -> Array:
    """A prompt, or its beginning, and a pause: whole hops, as a session hears it."""
    pcm = speech(name)
    heard = np.concatenate([pcm[: int(len(pcm) * share)], np.zeros(PAUSE_SAMPLES, np.float32)])
    return heard[: len(heard) // HOP_SAMPLES * HOP_SAMPLES]


CLIPS = [said(name, share=share) for name in PROMPTS for share in (0.3, 0.45, 0.6, 0.8, 1.0)]
# Longer than the window, and at other levels than a telephone's.
CLIPS += [np.concatenate([said(name) for name in PROMPTS]), CLIPS[4] * 0.01, CLIPS[9] * 3]


def streamed(pcm: Array) -> Array:
    """The encoder's frames; the first lies before the clip."""
    return whisper_log_mel(pcm, Carry.empty(), whisper_mel(MELS))[0][1:]


def from_pcm(pcm: Array) -> Array:
    """What the model was trained on: 8 s scaled to variance 1, then Whisper's log-mel of them."""
    heard = pcm[-WINDOW_SAMPLES:].astype(np.float64)
    window = np.concatenate([np.zeros(WINDOW_SAMPLES - len(heard)), heard])
    window = (window - window.mean()) / np.sqrt(window.var() + 1e-7)
    edged = np.pad(window, 200, mode="reflect")
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = np.stack([edged[at : at + 400] * hann for at in range(0, WINDOW_SAMPLES, 160)])
    power = np.abs(np.fft.rfft(frames)) ** 2
    log_mel = np.log10(np.maximum(power @ slaney_filters(), 1e-10))
    scaled: Array = ((np.maximum(log_mel, log_mel.max() - 8) + 4) / 4).astype(np.float32)
    return scaled.T


def slaney_filters() -> NDArray[np.float64]:
    """80 triangles of unit area; mels are linear to 1 kHz (15 mel), 27 to a factor 6.4 above."""
    top_mel = 15 + 27 * np.log(8000 / 1000) / np.log(6.4)
    mels = np.linspace(0, top_mel, 82)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    bins = np.linspace(0, 8000, 201)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    filters: NDArray[np.float64] = np.clip(np.minimum(rising, falling), 0, None) * 2 / (high - low)
    return filters


@pytest.fixture(scope="module")
def turn_end() -> TurnEnd:
    return TurnEnd()


@pytest.mark.parametrize("pcm", CLIPS)
def test_features_from_frames_are_those_from_pcm(turn_end: TurnEnd, pcm: Array) -> None:
    # The frame at the clip's last hop needs audio that follows, so frames end one hop earlier.
    difference = np.abs(turn_end.features(streamed(pcm)) - from_pcm(pcm[:-HOP_SAMPLES]))
    assert difference.shape == (MELS, FRAMES)
    assert difference.mean() < 0.003
    # Only at the clip's edges, and where it is all but silent, is there more.
    assert (difference > 0.05).mean() < 0.005


def test_scores_from_frames_are_those_from_pcm(turn_end: TurnEnd) -> None:
    session = ort.InferenceSession(str(checkpoint.locate(MODEL) / FILE))

    def scores(inputs: list[Array]) -> Array:
        probabilities = [session.run(None, {"input_features": each[None]})[0] for each in inputs]
        return np.array([probability.item() for probability in probabilities], np.float32)

    inputs = [from_pcm(pcm[:-HOP_SAMPLES]) for pcm in CLIPS[::2]]
    truth = scores(inputs)
    ours = np.array([turn_end.score(streamed(pcm)) for pcm in CLIPS[::2]], np.float32)
    off = np.abs(ours - truth)
    # The int8 model answers differently to what is the same to any ear; nothing can be nearer.
    jumps = np.abs(scores([each + np.float32(1e-4) for each in inputs]) - truth)
    assert off.mean() < 2 * jumps.mean()


def test_a_finished_sentence_scores_above_its_beginning(turn_end: TurnEnd) -> None:
    finished = [turn_end.score(streamed(said(name))) for name in PROMPTS]
    begun = [turn_end.score(streamed(said(name, share=0.6))) for name in PROMPTS]
    assert np.mean(finished) > np.mean(begun) + 0.2


def test_silence_has_a_score(turn_end: TurnEnd) -> None:
    silence = streamed(np.zeros(10 * HOP_SAMPLES, np.float32))
    assert 0.0 <= turn_end.score(silence) <= 1.0


@pytest.mark.parametrize("shape", [(0, 80), (10, 128), (80,)])
def test_frames_of_another_shape_are_refused(turn_end: TurnEnd, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="80"):
        turn_end.score(np.zeros(shape, np.float32))
