"""AudioSet's 521 classes in YAMNet's order: names, and where they stand."""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def _read_names() -> tuple[str, ...]:
    with Path(__file__).with_name("yamnet_class_map.csv").open(newline="") as file:
        return tuple(row["display_name"] for row in csv.DictReader(file))


CLASS_NAMES = _read_names()
_PLACES = {name: place for place, name in enumerate(CLASS_NAMES)}


def places(names: Iterable[str]) -> NDArray[np.intp]:
    """Return where classes stand in the scores; KeyError for a name that AudioSet does not have."""
    return np.array([_PLACES[name] for name in names], dtype=np.intp)


def between(first: str, last: str) -> tuple[str, ...]:
    """Return the classes from one to another, both included: AudioSet keeps kin together."""
    return CLASS_NAMES[_PLACES[first] : _PLACES[last] + 1]
