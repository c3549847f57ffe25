"""How a fetch tells its caller where it stands."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """What a fetch is doing; the value is fit to be shown."""

    WAIT = "waiting for another process"
    HUB = "downloading from the hub"
    PACKAGE = "downloading from the package index"
    CHECK = "checking"
    CONVERT = "converting"
    DONE = "ready"


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """One report of a fetch.

    `total_bytes` is 0 where a step has no measure; each step and source counts from 0.
    """

    name: str
    step: Step
    done_bytes: int = 0
    total_bytes: int = 0


Report = Callable[[FetchProgress], None]


def silent(progress: FetchProgress) -> None:
    """Tell nobody."""
