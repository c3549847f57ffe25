"""One utterance on its way to text: which audio is looked at next, and what of the text is shown.

Shape suffixes: T mel frames (10 ms), M mel bands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import takewhile

import numpy as np

from soundflow.cascade.endpoint import EndpointSettings
from soundflow.cascade.whisper_model import FRAME_MS, Array, TimedWord, Transcript
from soundflow.interaction import EndReason, Piece, Word


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """How speech becomes text. Chosen on the development prompts.

    pre_roll_ms, post_roll_ms: audio kept around what the VAD calls speech: it misses soft sounds.
    longest_doubt_ms: how far back an utterance may begin that was long in doubt.
    settle_after_ms: utterances shorter than this are settled as a whole, by their last pass.
    settle_ms: in longer ones, a word is settled once two passes agree on it and it ended this long
        before the newest audio. With 2,500 the text was not better, only later.
    cut_ms: a window this long loses what is settled of it; it keeps passes cheap.
    overlap_words: settled words that stay in a cut window: times of words are too rough to cut
        right before one that is still to be found.
    full_ms: a window this long is settled whether passes agree or not.
    beam: for the passes that settle without agreement. Translations stay greedy: with a beam of 5,
        5 of 60 Spanish prompts came back in Spanish, greedy 1.
    least_log_probability, most_no_speech, most_compression: a pass beyond them is not believed.
        Whisper's own limits, but for the compression: its texts are of 30 s, ours shorter.
    sure_language: probability from which a detected language is kept.
    """

    endpoint: EndpointSettings = EndpointSettings()
    pre_roll_ms: int = 300
    post_roll_ms: int = 200
    longest_doubt_ms: int = 2_000
    settle_after_ms: int = 4_000
    settle_ms: int = 1_500
    cut_ms: int = 8_000
    overlap_words: int = 3
    full_ms: int = 12_000
    beam: int = 5
    least_log_probability: float = -1.0
    most_no_speech: float = 0.6
    most_compression: float = 2.0
    sure_language: float = 0.7


DEFAULTS = SpeechSettings()


class Reach(Enum):
    """What a pass is for."""

    PROVISIONAL = "provisional"
    FULL = "full"  # the window is full: settle most of it and go on
    LAST = "last"  # the utterance is over


@dataclass(slots=True)
class Utterance:
    """What is said in one turn, and what of it has become text.

    log_mel: the window at hand, `(T, 80)` frames from `start_ms` of the session on.
    seen_frames: how many of them the latest pass saw.
    settled: the final words inside the window; the model goes on from them.
    guess: the latest believed pass's words after `settled`; `shown` is its text at `sequence`.
    """

    turn: int
    start_ms: int
    log_mel: Array
    over: bool = False
    seen_frames: int = 0
    settled: tuple[TimedWord, ...] = ()
    guess: tuple[TimedWord, ...] = ()
    sequence: int = 0
    shown: str = ""

    @property
    def window_ms(self) -> int:
        """How much audio the window holds."""
        return len(self.log_mel) * FRAME_MS

    @property
    def prefix(self) -> str:
        """The settled text inside the window."""
        return joined(self.settled)

    def extend(self, log_mel_TM: Array) -> None:
        """Add audio to the window."""
        self.log_mel = np.concatenate([self.log_mel, log_mel_TM])

    def finish(self, end_ms: int) -> None:
        """Close the utterance; audio after `end_ms` of the session does not belong to it."""
        self.over = True
        self.log_mel = self.log_mel[: max(1, (end_ms - self.start_ms) // FRAME_MS)]

    def due(self, settings: SpeechSettings) -> Reach | None:
        """Say which pass the utterance waits for."""
        if self.window_ms > settings.full_ms:
            return Reach.FULL
        if self.over:
            return Reach.LAST
        return Reach.PROVISIONAL if len(self.log_mel) > self.seen_frames else None

    def look(self, reach: Reach, settings: SpeechSettings) -> Array:
        """Return the frames that a pass is to see."""
        full = settings.full_ms // FRAME_MS
        frames = self.log_mel[:full] if reach is Reach.FULL else self.log_mel
        self.seen_frames = len(frames)
        return frames

    def take(
        self, reach: Reach, transcript: Transcript, settings: SpeechSettings
    ) -> tuple[Piece, ...]:
        """Return what a pass over the first `seen_frames` changes in the text."""
        believed = is_believable(transcript, settings)
        if reach is Reach.LAST:
            return self._end(transcript if believed else None)
        start_ms = self.start_ms
        pieces = self._go_on(reach, transcript, settings) if believed else ()
        if reach is Reach.FULL and self.start_ms == start_ms:
            self._cut(self._settled_ms() or self.seen_frames * FRAME_MS - settings.settle_ms)
        return pieces

    def _go_on(
        self, reach: Reach, transcript: Transcript, settings: SpeechSettings
    ) -> tuple[Piece, ...]:
        settled = self._settle(reach, transcript, settings)
        rest = transcript.words[len(settled) :]
        text = joined(rest) if settled else transcript.text
        pieces = [*self._final(settled), *self._show(text, rest)]
        if self.settled and self.window_ms >= settings.cut_ms:
            self._cut(self.settled[-settings.overlap_words :][0].start_ms)
        return tuple(pieces)

    def _settle(
        self, reach: Reach, transcript: Transcript, settings: SpeechSettings
    ) -> tuple[TimedWord, ...]:
        """Return the words that will not change any more."""
        if reach is Reach.FULL:
            return transcript.words[:-1]  # the last one may be cut by the window's edge
        seen_ms = self.seen_frames * FRAME_MS
        agreed = agreeing(self.guess, transcript.words)
        return tuple(takewhile(lambda word: word.end_ms <= seen_ms - settings.settle_ms, agreed))

    def _final(self, words: tuple[TimedWord, ...]) -> list[Piece]:
        if not words:
            return []
        piece = Piece(self.turn, self.sequence, self._led(joined(words)), True, self._placed(words))
        self.settled += words
        self.sequence += 1
        self.shown = ""
        return [piece]

    def _show(self, text: str, words: tuple[TimedWord, ...]) -> list[Piece]:
        self.guess = words
        if text == self.shown:
            return []
        self.shown = text
        return [Piece(self.turn, self.sequence, self._led(text), False, self._placed(words))]

    def _end(self, transcript: Transcript | None) -> tuple[Piece, ...]:
        """Settle all. A last pass that is not believed leaves what was believed before it."""
        text, words = (
            (transcript.text, transcript.words) if transcript else (self.shown, self.guess)
        )
        ended = Piece(self.turn, self.sequence, ended=EndReason.COMPLETE)
        if not text and not self.shown:
            return (ended,)
        last = Piece(self.turn, self.sequence, self._led(text), True, self._placed(words))
        return last, Piece(self.turn, self.sequence + 1, ended=EndReason.COMPLETE)

    def _cut(self, until_ms: int) -> None:
        """Drop the audio before `until_ms` from the window, and what is settled of it."""
        frames = until_ms // FRAME_MS
        self.log_mel = self.log_mel[frames:]
        self.start_ms += frames * FRAME_MS
        self.seen_frames -= frames
        kept = [word for word in self.settled if word.start_ms >= until_ms]
        self.settled, self.guess = _earlier(kept, until_ms), _earlier(self.guess, until_ms)

    def _settled_ms(self) -> int:
        return self.settled[-1].end_ms if self.settled else 0

    def _led(self, text: str) -> str:
        """A turn's first piece has no leading space."""
        return text if self.sequence else text.lstrip()

    def _placed(self, words: Sequence[TimedWord]) -> tuple[Word, ...]:
        """Move words from the window's time to the session's, whose first frame lies before it."""
        return tuple(
            Word(
                word.text.strip(),
                max(0, self.start_ms + word.start_ms),
                max(0, self.start_ms + word.end_ms),
            )
            for word in words
        )


def is_believable(transcript: Transcript, settings: SpeechSettings) -> bool:
    """Say whether a pass heard words, rather than imagined or repeated them."""
    imagined = (
        transcript.no_speech_probability > settings.most_no_speech
        and transcript.average_log_probability < settings.least_log_probability
    )
    return not imagined and transcript.compression_ratio <= settings.most_compression


def agreeing(one: Sequence[TimedWord], other: Sequence[TimedWord]) -> tuple[TimedWord, ...]:
    """Return the beginning of `other` that `one` has too, but for case and punctuation."""
    pairs = zip(one, other, strict=False)
    return tuple(right for left, right in takewhile(lambda p: plain(p[0]) == plain(p[1]), pairs))


def plain(word: TimedWord) -> str:
    """Return a word's letters and digits, in lower case."""
    return "".join(filter(str.isalnum, word.text.lower()))


def joined(words: Sequence[TimedWord]) -> str:
    """Return the words as text."""
    return "".join(word.text for word in words)


def _earlier(words: Sequence[TimedWord], by_ms: int) -> tuple[TimedWord, ...]:
    return tuple(TimedWord(w.text, w.start_ms - by_ms, w.end_ms - by_ms) for w in words)
