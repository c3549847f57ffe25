"""Translation: BLEU of what was said, and how far it lagged behind the speech.

The lag is LAAL in milliseconds (length-adaptive average lagging, Papi et al. 2022): the average,
over the translation's units up to the first that comes after the speech has ended, of when it came
minus when it would have come from an ideal translator that speaks evenly from the start.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

from sacrebleu.metrics.bleu import BLEU

from soundflow.audio import CHUNK_MS
from training.evaluation.figures import Figure, Result
from training.evaluation.interval import resampled
from training.evaluation.subject import Heard, Screen

# Languages that are written without spaces: their units are characters.
UNSPACED = frozenset({"zh", "ja", "th"})
_BLEU_TOKENS = {"zh": "zh", "ja": "char", "th": "char"}
RESAMPLES = 200  # a BLEU takes its time


@dataclass(frozen=True, slots=True)
class Translated:
    """One recording. came_ms: when each unit of the hypothesis came; speech_ms: its length."""

    reference: str
    hypothesis: str
    came_ms: tuple[float, ...] = ()
    speech_ms: float = 0.0


def from_heard(reference: str, heard: Heard, language: str, speech_ms: float) -> Translated:
    """Take what a live session said. speech_ms: where the speech ends in the recording."""
    came = [
        (screen.chunk + 1) * CHUNK_MS
        for turn in heard.turns
        for screen, new in zip(turn.screens, _growth(turn.screens, language), strict=True)
        for _ in range(new)
    ]
    return Translated(reference, heard.text, tuple(map(float, came)), speech_ms)


def units(text: str, language: str) -> list[str]:
    """Return what a translation's length is counted in: words, or characters."""
    if language in UNSPACED:
        return [letter for letter in text if not letter.isspace()]
    return text.split()


def lag_ms(translated: Translated, language: str) -> float:
    """Return LAAL; NaN where nothing was said."""
    came, speech_ms = translated.came_ms, translated.speech_ms
    if not came or not speech_ms:
        return nan
    longer = max(len(came), len(units(translated.reference, language)))
    counted = next((n for n, at in enumerate(came, 1) if at >= speech_ms), len(came))
    lags = [at - place * speech_ms / longer for place, at in enumerate(came[:counted])]
    return sum(lags) / counted


def bleu(translated: Sequence[Translated], language: str) -> float:
    """Return the corpus BLEU of sacrebleu, 0 to 100, as the language is scored by custom."""
    metric = BLEU(tokenize=_BLEU_TOKENS.get(language, "13a"))
    score = metric.corpus_score(
        [one.hypothesis for one in translated], [[one.reference for one in translated]]
    )
    return float(score.score)


def score(name: str, translated: Sequence[Translated], language: str) -> Result:
    """Return the figures of several recordings. language: that they were translated into."""
    lags = [lag for one in translated if (lag := lag_ms(one, language)) == lag]
    low, high = resampled(translated, lambda some: bleu(some, language), RESAMPLES)
    figures = [Figure("BLEU", bleu(translated, language), low, high, len(translated), "points")]
    if lags:
        low, high = resampled(lags, _mean)
        note = f"of the {len(lags)} that something was said to"
        figures.append(Figure("LAAL", _mean(lags), low, high, len(lags), "ms", note))
    return Result(name, tuple(figures))


def _growth(screens: Sequence[Screen], language: str) -> list[int]:
    """Return how many units each screen of a turn has more than any before it."""
    most, growth = 0, []
    for screen in screens:
        length = len(units(screen.text, language))
        growth.append(max(0, length - most))
        most = max(most, length)
    return growth


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
