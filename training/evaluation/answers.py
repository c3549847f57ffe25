"""Whether an answer is right: a choice that was made, a fact that was named, a mark by a judge."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan, nan

from training.evaluation.figures import Figure, Result, share
from training.evaluation.formats import Item
from training.evaluation.interval import resampled

Right = Callable[[Item, str], bool]
# Marks from 1 to 5 for a reply to a request.
Judge = Callable[[str, str], float]

_ARTICLES = frozenset({"a", "an", "the"})
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Answered:
    """An item, and what a model replied; "" where it kept silent."""

    item: Item
    reply: str


def chose(item: Item, reply: str) -> bool:
    """Say whether a reply makes the right choice, by MMAU's own rule.

    It has all words of the right choice, and none that occurs in a wrong one alone.
    """
    said = _words(reply)
    right = _words(item.expected[0])
    wrong = set[str]().union(*map(_words, item.choices)) - right
    return bool(said) and right <= said and not said & wrong


def named(item: Item, reply: str) -> bool:
    """Say whether a reply names an expected answer: its words, in a row, articles aside."""
    said = f" {_plain(reply)} "
    return any(f" {_plain(answer)} " in said for answer in item.expected if _plain(answer))


def score(name: str, answered: Sequence[Answered], right: Right) -> Result:
    """Return the share of right answers, and that of each group where there are several."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for one in answered:
        groups[one.item.group].append(right(one.item, one.reply))
    every = [hit for hits in groups.values() for hit in hits]
    figures = [share("accuracy", sum(every), len(every)), _silent(answered)]
    if len(groups) > 1:
        figures += [share(group or "?", sum(hits), len(hits)) for group, hits in groups.items()]
    return Result(name, tuple(figures))


def score_judged(name: str, answered: Sequence[Answered], judge: Judge | None) -> Result:
    """Return the mean mark; without a judge there is none, and the result says so."""
    if judge is None:
        note = "not marked: no judge was given"
        return Result(name, (Figure("mark", nan, unit="of 5", note=note), _silent(answered)))
    marks = [judge(one.item.question, one.reply) for one in answered]
    kept = [mark for mark in marks if not isnan(mark)]
    low, high = resampled(kept, lambda some: sum(some) / len(some))
    mean = sum(kept) / len(kept) if kept else nan
    lost = len(marks) - len(kept)
    note = f"the judge gave no mark to {lost}" if lost else ""
    mark = Figure("mark", mean, low, high, len(kept), "of 5", note)
    return Result(name, (mark, _silent(answered)))


def _silent(answered: Sequence[Answered]) -> Figure:
    silent = sum(not one.reply for one in answered)
    return share("unanswered", silent, len(answered))


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))


def _plain(text: str) -> str:
    return " ".join(word for word in _WORD.findall(text.lower()) if word not in _ARTICLES)
