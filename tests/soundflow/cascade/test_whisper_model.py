"""Whisper on real speech: the texts are those that the recordings were made from."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from soundflow.audio import SAMPLE_RATE_HZ
from soundflow.cascade.artificial_voice import artificial_voice
from soundflow.cascade.utterance import DEFAULTS as SPEECH
from soundflow.cascade.utterance import is_believable
from soundflow.cascade.whisper_model import (
    FRAME_MS,
    MELS,
    SILENT_LOG_MEL,
    Task,
    WhisperError,
    WhisperModel,
    Window,
    compression_ratio,
)
from soundflow.frontend import HOP_SAMPLES, Array, Carry, whisper_log_mel, whisper_mel

PROMPTS = Path(__file__).parents[2] / "data" / "prompts"
TEXTS = {
    "agent-pass": "please enter your password followed by the pound key",
    "conf-invalid": "that is not a valid conference number please try again",
}
# Processors differ in how they round int8, and these two words are nearly as likely there.
WITH_AMX = {("agent-pass", 5): "please enter a password followed by the pound key"}

Models = tuple[WhisperModel, WhisperModel]


def frames(name: str) -> Array:
    pcm, rate_hz = soundfile.read(PROMPTS / f"{name}.flac", dtype="float32")
    heard = np.asarray(soxr.resample(pcm, rate_hz, SAMPLE_RATE_HZ), np.float32)
    whole_hops = heard[: len(heard) // HOP_SAMPLES * HOP_SAMPLES]
    return whisper_log_mel(whole_hops, Carry.empty(), whisper_mel(MELS))[0]


def plain(text: str) -> str:
    return " ".join("".join(c for c in text.lower() if c.isalnum() or c == " ").split())


@pytest.mark.models
@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("beam", [1, 5])
def test_a_prompt_is_transcribed_once_and_whole(
    whisper_models: Models, name: str, beam: int
) -> None:
    for model in whisper_models:
        [transcript] = model.transcribe([Window(frames(name), beam=beam)])
        assert plain(transcript.text) in {TEXTS[name], WITH_AMX.get((name, beam))}
        assert is_believable(transcript, SPEECH)


@pytest.mark.models
def test_windows_of_different_length_share_a_batch(whisper_models: Models) -> None:
    english, _ = whisper_models
    transcripts = english.transcribe([Window(frames(name)) for name in TEXTS])
    assert [plain(each.text) for each in transcripts] == list(TEXTS.values())


@pytest.mark.models
def test_words_follow_one_another_inside_the_window(whisper_models: Models) -> None:
    english, _ = whisper_models
    window = Window(frames("agent-pass"), word_times=True)
    [transcript] = english.transcribe([window])
    times = [ms for word in transcript.words for ms in (word.start_ms, word.end_ms)]
    assert "".join(word.text for word in transcript.words) == transcript.text
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] <= len(window.log_mel) * FRAME_MS


@pytest.mark.models
def test_words_move_with_the_audio(whisper_models: Models) -> None:
    english, _ = whisper_models
    speech = frames("agent-pass")
    later = np.concatenate([np.full((100, MELS), SILENT_LOG_MEL, np.float32), speech])
    first, second = (
        each.words[-1]
        for log_mel in (speech, later)
        for each in english.transcribe([Window(log_mel, word_times=True)])
    )
    assert second.start_ms - first.start_ms == pytest.approx(1_000, abs=120)


@pytest.mark.models
def test_only_what_follows_the_prefix_is_returned(whisper_models: Models) -> None:
    english, _ = whisper_models
    window = Window(frames("agent-pass"), prefix=" Please enter your password", word_times=True)
    [transcript] = english.transcribe([window])
    assert plain(transcript.text) == "followed by the pound key"
    assert [plain(word.text) for word in transcript.words] == plain(transcript.text).split()


@pytest.mark.models
def test_an_english_window_of_unknown_language_is_found_to_be_english(
    whisper_models: Models,
) -> None:
    _, multilingual = whisper_models
    [transcript] = multilingual.transcribe([Window(frames("conf-invalid"), language="")])
    assert (transcript.language, plain(transcript.text)) == ("en", TEXTS["conf-invalid"])
    assert transcript.language_probability > 0.5


@pytest.mark.models
def test_a_known_text_is_found_in_its_audio(whisper_models: Models) -> None:
    english, _ = whisper_models
    words = english.align(frames("agent-pass"), " Please enter your password")
    assert [word.text for word in words] == [" Please", " enter", " your", " password"]


@pytest.mark.models
@pytest.mark.parametrize(
    "window",
    [
        Window(np.zeros((3_000, MELS), np.float32)),
        Window(np.zeros((100, MELS), np.float32), task=Task.TRANSLATE, language="xx"),
    ],
    ids=["too long", "unknown language"],
)
def test_what_cannot_be_done_is_said(whisper_models: Models, window: Window) -> None:
    _, multilingual = whisper_models
    with pytest.raises(WhisperError, match="at most 25000 ms|no token"):
        multilingual.transcribe([window])


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(WhisperError, match=str(tmp_path)):
        WhisperModel(tmp_path)


def test_text_that_repeats_itself_compresses_well() -> None:
    sentence = "Please enter your password followed by the pound key."
    assert compression_ratio("") == 1.0
    assert compression_ratio(sentence) < 1.5 < 3 < compression_ratio(sentence * 5)


def test_the_artificial_voice_is_audio_in_whole_frames() -> None:
    voice = artificial_voice(0.5)
    assert len(voice) == SAMPLE_RATE_HZ // 2
    assert np.abs(voice).max() <= 1.0
