"""Speech made of text: one speaker a dialogue, and nothing that a recogniser would not understand.

Shape suffixes: S samples, T frames, M mel bands.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from soundflow.audio import SAMPLE_RATE_HZ, Pcm
from soundflow.cascade.whisper_model import MELS, TimedWord, WhisperModel, WhisperSettings, Window
from soundflow.checkpoint import locate
from soundflow.frontend import Carry, whisper_log_mel, whisper_mel
from training.evaluation.words import comparable, word_errors
from training.speech.spoken import spoken
from training.speech.voices import Manner, Voice, installed_voices

MOST_WER = 0.10
RETRIES = 2
PACES, PITCHES, RESONANCES = (0.85, 1.15), (0.85, 1.2), (0.92, 1.12)
MANNERS = (PACES, PITCHES, RESONANCES)
# Each retry is said more slowly than the one before.
SLOWER = 0.9
HOP_SAMPLES = SAMPLE_RATE_HZ // 100


class NotUnderstood(Exception):
    """What was said is not what was to be said; its dialogue is dropped."""


class Recogniser(Protocol):
    """Writes down what it hears."""

    def transcribe(self, pcm_S: Pcm) -> str:
        """Return what is said in a clip."""
        ...

    def align(self, pcm_S: Pcm, text: str) -> Sequence[TimedWord]:
        """Return where each word of a known text lies."""
        ...


class WhisperRecogniser:
    """The project's own Whisper; English."""

    def __init__(self) -> None:
        """Load the weights; errors as `soundflow.checkpoint.locate`, WhisperError."""
        self._model = WhisperModel(locate("whisper-tiny.en"), WhisperSettings(workers=1))
        self._mel_MF = whisper_mel(MELS)

    def transcribe(self, pcm_S: Pcm) -> str:
        """See `Recogniser.transcribe`."""
        [heard] = self._model.transcribe([Window(self._log_mel(pcm_S))])
        return heard.text.strip()

    def align(self, pcm_S: Pcm, text: str) -> Sequence[TimedWord]:
        """See `Recogniser.align`."""
        return self._model.align(self._log_mel(pcm_S), text)

    def _log_mel(self, pcm_S: Pcm) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        padded_S = np.pad(pcm_S, (0, -len(pcm_S) % HOP_SAMPLES))
        log_mel_TM, _ = whisper_log_mel(padded_S, Carry.empty(), self._mel_MF)
        return log_mel_TM


@dataclass(frozen=True, slots=True)
class Speaker:
    """One voice with its own pace and pitch, for a whole dialogue."""

    voice: Voice
    manner: Manner

    @classmethod
    def drawn(cls, voices: Sequence[Voice], rng: np.random.Generator) -> "Speaker":
        """Draw one."""
        voice = voices[int(rng.integers(len(voices)))]
        return cls(voice, Manner(*(float(rng.uniform(*each)) for each in MANNERS)))


@dataclass
class Booth:
    """Where speech is made and checked. tally: what became of it, in utterances.

    Voices and recogniser are looked for when something is to be said or heard for the first time;
    errors as `installed_voices` and `WhisperRecogniser`.
    """

    find_voices: Callable[[], Sequence[Voice]] = installed_voices
    load_recogniser: Callable[[], Recogniser] = WhisperRecogniser
    tally: Counter[str] = field(default_factory=Counter)

    @cached_property
    def voices(self) -> Sequence[Voice]:
        """Who can speak."""
        return self.find_voices()

    @cached_property
    def recogniser(self) -> Recogniser:
        """Who hears whether it was understood."""
        return self.load_recogniser()

    def read(self, speaker: Speaker, text: str) -> Pcm:
        """Return a text as it is said, understood or not. VoiceError."""
        self.tally["not checked"] += 1
        return speaker.voice.say(spoken(text), speaker.manner)

    def say(self, speaker: Speaker, text: str, retries: int = RETRIES) -> Pcm:
        """Return a text as it is said. NotUnderstood when it cannot be, and all retries failed.

        VoiceError where the voice itself fails.
        """
        said = spoken(text)
        manner = speaker.manner
        for attempt in range(1 + retries):
            pcm_S = speaker.voice.say(said, manner)
            if pcm_S.size and error_rate(said, self.recogniser.transcribe(pcm_S)) <= MOST_WER:
                self.tally["understood" if not attempt else "understood on a retry"] += 1
                return pcm_S
            manner = replace(manner, pace=manner.pace * SLOWER)
        self.tally["not understood"] += 1
        raise NotUnderstood(f"{speaker.voice.name}: {said}")


def error_rate(said: str, heard: str) -> float:
    """Return the share of words that differ, numbers and all in words on both sides."""
    reference = comparable(spoken(said))
    if not reference:
        return 0.0
    return word_errors(reference, comparable(spoken(heard))) / len(reference)
