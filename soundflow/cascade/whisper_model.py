"""One Whisper in CTranslate2: short windows in, text out, many windows in one decoding.

Shape suffixes: B batch, T mel frames (10 ms), M mel bands, E encoder steps (20 ms), D width.
"""

import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import ctranslate2
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from soundflow.cascade.artificial_voice import artificial_voice
from soundflow.frontend import Carry, whisper_log_mel, whisper_mel, whisper_normalise

Array = NDArray[np.float32]

MELS = 80
FRAME_MS = 10
STEP_MS = 20  # the encoder halves the frame rate
MOST_STEPS = 1500  # Whisper's positions end at 30 s
SILENT_LOG_MEL = -10.0  # log10 of the front end's floor: digital silence

_LANGUAGE_TOKEN = re.compile(r"<\|(?P<code>[a-z]{2,3})\|>")


class WhisperError(Exception):
    """Whisper could not be loaded, or could not handle a window."""


class Task(StrEnum):
    """What Whisper makes of speech: its own words, or English."""

    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"


@dataclass(frozen=True, slots=True)
class Window:
    """What one pass looks at.

    log_mel: `(T, 80)` raw log10 frames, 10 ms each, at most `WhisperSettings.longest_ms`.
    language: ISO 639-1; "" = detect.
    beam: 1 = greedy.
    prefix: text already settled for this window's beginning: the model goes on from it.
    """

    log_mel: Array
    task: Task = Task.TRANSCRIBE
    language: str = "en"
    beam: int = 1
    prefix: str = ""
    word_times: bool = False


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word and where it lies in its window. `text` has the leading space it was written with."""

    text: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a pass made of its window, after the window's prefix.

    words: empty unless word times were asked for.
    average_log_probability: per token; near 0 = sure.
    compression_ratio: size of prefix and text over their deflated size; high = they repeat
        themselves.
    """

    text: str
    words: tuple[TimedWord, ...] = ()
    no_speech_probability: float = 0.0
    average_log_probability: float = 0.0
    compression_ratio: float = 1.0
    language: str = "en"
    language_probability: float = 1.0


MOST_WORKERS = 8  # more would fight the encoder and the event loop for the cores


@dataclass(frozen=True, slots=True)
class WhisperSettings:
    """How windows are run. Measured on the development prompts with tiny.en, 2 cores.

    workers: batches that run side by side, on one thread each; one for each core. A second thread
        for the same batch made single passes slower and batches only a fifth faster.
    silence_frames: real silence encoded after each window; without it last words are lost.
    tail_steps: encoded silence appended after that, see `_silent_tail`. Words that repeat for ever:
        without it in a third of the windows, with 100 steps in none, with a real 30 s pad in none.
    tokens_per_second, spare_tokens: the most that a window may say; fast speech is 5 a second. It
        bounds the cost of a window that repeats itself.
    longest_ms: longer windows are refused, so that one session cannot stall the others.
    """

    workers: int = field(default_factory=lambda: min(MOST_WORKERS, os.cpu_count() or 1))
    silence_frames: int = 50
    tail_steps: int = 200
    tokens_per_second: int = 8
    spare_tokens: int = 8
    longest_ms: int = 25_000


DEFAULTS = WhisperSettings()


class WhisperModel:
    """Run windows of the same beam, task, language and wish for word times in one batch."""

    def __init__(self, folder: Path, settings: WhisperSettings = DEFAULTS) -> None:
        """Load the weights as int8 and encode the silence. WhisperError when it cannot be done."""
        try:
            self._model = ctranslate2.models.Whisper(
                str(folder),
                device="cpu",
                compute_type="int8",
                inter_threads=settings.workers,
                intra_threads=1,
            )
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # both libraries raise bare RuntimeError and Exception
            raise WhisperError(f"cannot load a Whisper model from {folder}: {error}") from error
        self._settings = settings
        self._tail_1ED = self._silent_tail()

    @property
    def multilingual(self) -> bool:
        """Whether it knows other languages than English."""
        return bool(self._model.is_multilingual)

    @property
    def languages(self) -> frozenset[str]:
        """The codes of the languages it knows."""
        if not self.multilingual:
            return frozenset({"en"})
        tokens = map(_LANGUAGE_TOKEN.fullmatch, self._tokenizer.get_vocab())
        return frozenset(token["code"] for token in tokens if token)

    def transcribe(self, windows: Sequence[Window]) -> list[Transcript]:
        """Transcribe windows that differ only in audio and prefix. Blocks."""
        try:
            return self._transcribe(windows)
        except (RuntimeError, ValueError) as error:
            raise WhisperError(f"Whisper failed on {len(windows)} windows: {error}") from error

    def align(self, log_mel_TM: Array, text: str, language: str = "en") -> tuple[TimedWord, ...]:
        """Find a known text in a window: where each of its words was said."""
        audio = self._joined([self._encode(log_mel_TM)])
        start = self._start(Task.TRANSCRIBE, language)
        [words] = self._word_times(audio, start, [self._tokens(text)], [len(log_mel_TM)])
        return words

    def _transcribe(self, windows: Sequence[Window]) -> list[Transcript]:
        # Encoding gains nothing from a batch (8 x 10 s: 500 ms together, 300 ms one by one);
        # decoding does (8 x 5 s: 120 ms together, 330 ms one by one).
        encoded = [self._encode(window.log_mel) for window in windows]
        audio_BED = self._joined(encoded)
        language, probability = self._language(windows[0], audio_BED)
        start = self._start(windows[0].task, language)
        prefixes = [self._tokens(window.prefix) for window in windows]
        results = self._model.generate(
            audio_BED,
            [[*start, self._id("<|notimestamps|>"), *prefix] for prefix in prefixes],
            beam_size=windows[0].beam,
            return_scores=True,
            return_no_speech_prob=True,
            max_length=self._most_tokens(windows, prefixes),
        )
        spoken = [result.sequences_ids[0] for result in results]
        words: list[tuple[TimedWord, ...]] = [()] * len(windows)
        if windows[0].word_times:
            frames = [len(window.log_mel) for window in windows]
            words = self._word_times(audio_BED, start, spoken, frames)
        return [
            self._transcript(*each, language, probability)
            for each in zip(results, prefixes, words, strict=True)
        ]

    def _encode(self, log_mel_TM: Array) -> Array:
        """Return `(1, E, D)`: the window and its silence, encoded."""
        if len(log_mel_TM) * FRAME_MS > self._settings.longest_ms:
            raise ValueError(
                f"a window is at most {self._settings.longest_ms} ms, got {log_mel_TM.shape=}"
            )
        # Whisper wants an even number of frames.
        silence = self._settings.silence_frames + len(log_mel_TM) % 2
        return self._encode_padded(log_mel_TM, silence)

    def _encode_padded(self, log_mel_TM: Array, silence: int) -> Array:
        padded_TM = np.pad(log_mel_TM, ((0, silence), (0, 0)), constant_values=SILENT_LOG_MEL)
        mel_1MT = np.ascontiguousarray(whisper_normalise(padded_TM).T[None])
        encoded = self._model.encode(ctranslate2.StorageView.from_array(mel_1MT), to_cpu=True)
        return np.asarray(encoded)

    def _joined(self, encoded: Sequence[Array]) -> ctranslate2.StorageView:
        """Stack windows of different length, each followed by encoded silence up to the longest."""
        steps = max(each.shape[1] for each in encoded) + self._settings.tail_steps
        rows = [
            np.concatenate([each, self._tail_1ED[:, each.shape[1] : steps]], 1) for each in encoded
        ]
        return ctranslate2.StorageView.from_array(np.concatenate(rows))

    def _silent_tail(self) -> Array:
        """Return `(1, 1500, D)`: what the encoder makes of the silence that follows speech.

        Whisper stops where it attends to the silence that pads its windows to 30 s. Encoding that
        silence costs 20 times what the speech costs, but what comes out hardly depends on the
        speech, so it is encoded once, after an artificial voice (silence after silence or noise is
        encoded differently, and does not stop it), and cut to fit after each window.
        """
        voice_TM, _ = whisper_log_mel(artificial_voice(), Carry.empty(), whisper_mel(MELS))
        encoded_1ED = self._encode_padded(voice_TM, 2 * MOST_STEPS - len(voice_TM))
        # Positions that the voice itself takes: windows shorter than it see later silence there.
        spoken = len(voice_TM) // 2 + self._settings.silence_frames
        encoded_1ED[:, :spoken] = encoded_1ED[:, spoken : 2 * spoken]
        return encoded_1ED

    def _language(self, window: Window, audio: ctranslate2.StorageView) -> tuple[str, float]:
        if window.language or not self.multilingual:
            return window.language or "en", 1.0
        token, probability = self._model.detect_language(audio)[0][0]
        return token.strip("<|>"), probability

    def _start(self, task: Task, language: str) -> list[int]:
        start = [self._id("<|startoftranscript|>")]
        if self.multilingual:
            start += [self._id(f"<|{language}|>"), self._id(f"<|{task}|>")]
        return start

    def _most_tokens(self, windows: Sequence[Window], prefixes: Sequence[list[int]]) -> int:
        seconds = max(len(window.log_mel) for window in windows) * FRAME_MS / 1000
        said = max(len(prefix) for prefix in prefixes)
        budget = self._settings.spare_tokens + int(seconds * self._settings.tokens_per_second)
        return max(budget, said + self._settings.spare_tokens)

    def _word_times(
        self,
        audio: ctranslate2.StorageView,
        start: list[int],
        spoken: Sequence[list[int]],
        frames: Sequence[int],
    ) -> list[tuple[TimedWord, ...]]:
        aligned = self._model.align(audio, start, [list(ids) for ids in spoken], list(frames))
        return [
            tuple(self._timed(ids, each.alignments))
            for ids, each in zip(spoken, aligned, strict=True)
        ]

    def _timed(self, ids: list[int], path: Sequence[tuple[int, int]]) -> Iterator[TimedWord]:
        """Give each word the encoder steps that its tokens were aligned to."""
        begin_ms = [0] * (len(ids) + 1)
        for token, step in reversed(path):
            begin_ms[token] = step * STEP_MS
        starts = [i for i, token in enumerate(ids) if i == 0 or self._begins_word(token)]
        for first, after in zip(starts, [*starts[1:], len(ids)], strict=True):
            yield TimedWord(self._text(ids[first:after]), begin_ms[first], begin_ms[after])

    def _transcript(
        self,
        result: ctranslate2.models.WhisperGenerationResult,
        prefix: list[int],
        words: tuple[TimedWord, ...],
        language: str,
        probability: float,
    ) -> Transcript:
        ids = result.sequences_ids[0]
        text = self._text(ids[len(prefix) :])
        before = sum(i == 0 or self._begins_word(token) for i, token in enumerate(prefix))
        return Transcript(
            text=text,
            words=words[before:],
            no_speech_probability=result.no_speech_prob,
            average_log_probability=result.scores[0],
            compression_ratio=compression_ratio(self._text(ids)),
            language=language,
            language_probability=probability,
        )

    def _id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"this Whisper has no token {token}")
        return int(found)

    def _begins_word(self, token: int) -> bool:
        return str(self._tokenizer.id_to_token(token)).startswith("Ġ")  # byte-level BPE's space

    def _tokens(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids) if text else []

    def _text(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids)))


def compression_ratio(text: str) -> float:
    """Return how many times smaller the text gets when deflated; 1 for no text."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 1.0
