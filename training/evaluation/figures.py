"""A result: named figures, each with its interval, and how much it rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

from training.evaluation.interval import poisson, wilson


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. low, high: its 95 % interval, NaN where there is none. of: what it rests on.

    unit: "" = a share between 0 and 1. note: what the reader has to know about it.
    """

    name: str
    value: float
    low: float = nan
    high: float = nan
    of: int = 0
    unit: str = ""
    note: str = ""

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Figure":
        """Read what `as_json` returned."""
        numbers = {
            name: nan if written[name] is None else written[name]
            for name in ("value", "low", "high")
        }
        return cls(**{**written, **numbers})

    def as_json(self) -> dict[str, str | float | int | None]:
        """Return it as JSON has it, which knows no NaN."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        known = {name: None if isnan(number) else number for name, number in numbers.items()}
        return {"name": self.name, **known, "of": self.of, "unit": self.unit, "note": self.note}


@dataclass(frozen=True, slots=True)
class Result:
    """What one task gave. name: for people, and unique within a report."""

    name: str
    figures: tuple[Figure, ...]
    note: str = ""


def share(name: str, hits: int, trials: int, note: str = "") -> Figure:
    """Return hits out of trials; NaN without any."""
    if not trials:
        return Figure(name, nan, note=note)
    low, high = wilson(hits, trials)
    return Figure(name, hits / trials, low, high, trials, note=note)


def per_hour(name: str, count: int, seconds: float, note: str = "") -> Figure:
    """Return how often something happened in an hour."""
    if not seconds:
        return Figure(name, nan, unit="per hour", note=note)
    low, high = (limit / seconds * 3600 for limit in poisson(count))
    return Figure(name, count / seconds * 3600, low, high, count, "per hour", note)


def quantile(values: Sequence[float], at: float) -> float:
    """Return a quantile of values, the nearest that occurs; NaN without any."""
    if not values:
        return nan
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(at * (len(ordered) - 1)))]
