"""Counting: whether the last number that was said is how often the sound was heard."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from training.composition.timeline import Timeline
from training.evaluation.figures import Figure, Result, share
from training.evaluation.interval import resampled

_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve"),
)
_NUMBER = re.compile(rf"\d+|\b(?:{'|'.join(_WORDS)})\b")


@dataclass(frozen=True, slots=True)
class Counted:
    """One stream: how often the sound is in it, and the last number that was said; 0 = none."""

    true: int
    said: int


def true_count(timeline: Timeline) -> int:
    """Return how often is counted in a stream; 0 where its replies are no count from 1 on."""
    said = [response.answer.text.rstrip(".") for response in timeline.responses]
    return len(said) if said == [str(number) for number in range(1, len(said) + 1)] else 0


def last_number(text: str) -> int:
    """Return the last number in a text, in digits or, up to twelve, in words; 0 without any."""
    found = _NUMBER.findall(text.lower())
    if not found:
        return 0
    return int(found[-1]) if found[-1].isdigit() else _WORDS.index(found[-1])


def score(name: str, counted: Sequence[Counted]) -> Result:
    """Return the figures of several streams."""
    right = sum(one.true == one.said for one in counted)
    near = sum(abs(one.true - one.said) <= 1 for one in counted)
    low, high = resampled(counted, _mean_error)
    return Result(
        name,
        (
            share("count accuracy", right, len(counted)),
            share("wrong by one at most", near, len(counted)),
            Figure("mean error", _mean_error(counted), low, high, len(counted), "counts"),
        ),
    )


def _mean_error(counted: Sequence[Counted]) -> float:
    return sum(abs(one.true - one.said) for one in counted) / len(counted)
