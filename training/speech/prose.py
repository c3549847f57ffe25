"""Prose as sentences that can be read aloud: plain words, as they are spoken, none twice."""

import re
from collections.abc import Iterator

from training.speech.spoken import spoken

WORDS = (3, 16)
# A name, a word or "I", and what may stand after it: no code, no headings, nothing to be spelled.
_WORD = re.compile(r"(?:[A-Z]?[a-z]+(?:'[a-z]{1,2})?|I|I'[a-z]{1,2})[,;:]?")
_LAST = re.compile(r"(?:[A-Z]?[a-z]+(?:'[a-z]{1,2})?|I|I'[a-z]{1,2})[.?!]")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": " ", "”": " ", '"': " "})
# Around what is set in italics, but not inside of a programmer's names.
_MARKS = re.compile(r"(?<![\w*])[_*](?=[^\s_*])|(?<=[^\s_*])[_*](?![\w*])")
_DASHES = re.compile(r"\s*(?:--+|[–—])\s*")
_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z])")
_CLAUSE = re.compile(r"(?<=[,;:])\s+")


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of prose that are of plain words, numbers among them in words.

    Long ones are divided at their commas. What is no sentence, as a heading, a list or a line of
    code, is left out.
    """
    seen: set[str] = set()
    for paragraph in _PARAGRAPH.split(_MARKS.sub("", text.translate(_QUOTES))):
        # Abbreviations first: their points end no sentence.
        said = spoken(" ".join(_DASHES.sub(", ", paragraph).split()))
        for sentence in filter(_is_plain, _SENTENCE.split(said)):
            for piece in _pieces(sentence):
                if piece.lower() not in seen:
                    seen.add(piece.lower())
                    yield piece


def _is_plain(sentence: str) -> bool:
    *words, last = sentence.split() or [""]
    return (
        sentence[:1].isupper()
        and _LAST.fullmatch(last) is not None
        and all(_WORD.fullmatch(word) for word in words)
    )


def _pieces(sentence: str) -> Iterator[str]:
    """Divide a sentence into pieces as long as may be; what is too short or too long is left out.

    A piece ends like a sentence: it is what one says before one draws breath.
    """
    piece: list[str] = []
    for clause in [*_CLAUSE.split(sentence), None]:
        words = clause.split() if clause is not None else []
        if clause is None or len(piece) + len(words) > WORDS[1]:
            if WORDS[0] <= len(piece) <= WORDS[1]:
                yield re.sub("[,;:]$", ".", " ".join(piece))
            piece = []
        piece += words
