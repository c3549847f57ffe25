"""Transcription: word errors of what was said in the end, and how long after each word it was.

Streaming and offline are the same score over other texts: offline is whatever transcribes the whole
recording at once. Word delays need to know when words were spoken; without that there are none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from soundflow.audio import CHUNK_MS
from training.evaluation.figures import Figure, Result, quantile
from training.evaluation.interval import resampled
from training.evaluation.subject import Heard
from training.evaluation.words import Shown, Spoken, comparable, delays_ms, word_errors


@dataclass(frozen=True, slots=True)
class Transcribed:
    """One recording. words: of the reference. delays_ms: of each word that was ever right."""

    errors: int
    words: int
    delays_ms: tuple[float, ...] = ()


def compare(reference: str, hypothesis: str) -> Transcribed:
    """Compare two texts, in the form in which spelling makes no difference."""
    words = comparable(reference)
    return Transcribed(word_errors(words, comparable(hypothesis)), len(words))


def compare_live(reference: str, spoken: Sequence[Spoken], heard: Heard) -> Transcribed:
    """Compare what a live session said. spoken: when each word was; empty = not known."""
    told = compare(reference, heard.text)
    if not spoken:
        return told
    return Transcribed(told.errors, told.words, tuple(delays_ms(spoken, screens(heard))))


def screens(heard: Heard) -> list[Shown]:
    """Return all text there is, turn after turn, after each chunk that changed it."""
    newest: dict[int, str] = {}
    changes = sorted(
        (screen.chunk, place, number, screen.text)
        for place, turn in enumerate(heard.turns)
        for number, screen in enumerate(turn.screens)
    )
    shown: dict[int, str] = {}
    for chunk, place, _, text in changes:
        newest[place] = text
        shown[chunk] = " ".join(newest[at] for at in sorted(newest))
    return [Shown((chunk + 1) * CHUNK_MS, text) for chunk, text in sorted(shown.items())]


def score(name: str, transcribed: Sequence[Transcribed]) -> Result:
    """Return the figures of several recordings."""
    delays = [delay for one in transcribed for delay in one.delays_ms]
    words = sum(one.words for one in transcribed)
    low, high = resampled(transcribed, error_rate)
    figures = [Figure("word error rate", error_rate(transcribed), low, high, words)]
    if delays:
        figures += [
            Figure("word delay, median", quantile(delays, 0.5), of=len(delays), unit="ms"),
            Figure("word delay, 90 %", quantile(delays, 0.9), of=len(delays), unit="ms"),
        ]
    return Result(name, tuple(figures))


def error_rate(transcribed: Sequence[Transcribed]) -> float:
    """Return errors for each word of the reference, over all recordings together."""
    words = sum(one.words for one in transcribed)
    return sum(one.errors for one in transcribed) / words if words else float("nan")
