"""Scores of transcription: texts made comparable, word errors, and when each word was right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import jiwer

# What counts as the same text: case, punctuation and hyphens do not matter, contractions (but for
# "'s", which is mostly a genitive here) are read in full, digits are read one by one ("42" = "four
# two"), and so are the keys of a telephone.
_SPOKEN_AS = {
    "’": "'",
    r"n't\b": " not",
    r"'m\b": " am",
    r"'re\b": " are",
    r"'ve\b": " have",
    r"'ll\b": " will",
    r"\*": " star ",
    "#": " pound ",
}
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_COMPARABLE = jiwer.Compose(
    [
        jiwer.ToLowerCase(),
        jiwer.SubstituteRegexes(_SPOKEN_AS),
        jiwer.SubstituteRegexes({str(i): f" {word} " for i, word in enumerate(_DIGITS)}),
        jiwer.SubstituteRegexes({r"'": "", r"[^\w\s]|_": " "}),
        jiwer.RemoveMultipleSpaces(),
        jiwer.Strip(),
    ]
)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A reference word (comparable form) and when it was said, in the recording's milliseconds."""

    text: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Shown:
    """What the screen says from `at_ms` on."""

    at_ms: float
    text: str


def comparable(text: str) -> list[str]:
    """Return the text's words in the form in which they are compared."""
    return str(_COMPARABLE(text)).split()


def word_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Return substitutions, deletions and insertions between two lists of comparable words."""
    if not reference:
        return len(hypothesis)
    out = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    return out.substitutions + out.deletions + out.insertions


def delays_ms(reference: Sequence[Spoken], screens: Iterable[Shown]) -> list[float]:
    """Return, for each word that was ever right, how long after its end it first was.

    A word is right when the best alignment of the screen's text with what has been said so far
    matches it. A word shown before it ended has a negative delay.
    """
    first: dict[int, float] = {}
    for screen in screens:
        begun = [word.text for word in reference if word.start_ms < screen.at_ms]
        for index in _matched(begun, comparable(screen.text)):
            first.setdefault(index, screen.at_ms - reference[index].end_ms)
    return [first[index] for index in sorted(first)]


def _matched(reference: Sequence[str], hypothesis: Sequence[str]) -> Iterable[int]:
    if not reference:
        return
    [chunks] = jiwer.process_words(" ".join(reference), " ".join(hypothesis)).alignments
    for chunk in chunks:
        if chunk.type == "equal":
            yield from range(chunk.ref_start_idx, chunk.ref_end_idx)
