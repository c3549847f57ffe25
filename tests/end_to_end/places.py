"""Where the platform of an end-to-end test runs, and what runs in one place only, and why."""

from dataclasses import dataclass

import pytest

from tests.end_to_end.clustered import Clusters

# Every test runs in both places but for these.
OWN_MODEL = pytest.mark.one_process("its model is the test's own, and Triton serves ours")
SERVE = pytest.mark.one_process("it is about `soundflow serve`, which is the one process")
MINUTES = pytest.mark.one_process("its thousands of steps, one by one, take minutes on a cluster")
NO_PLATFORM = pytest.mark.one_process("it needs no platform")


@dataclass(slots=True)
class Place:
    """The place of the test that runs now. clusters: None where it is one process."""

    clusters: Clusters | None = None


NOW = Place()
