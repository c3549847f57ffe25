"""Every end-to-end test runs in both places, but for those that look into one process."""

from collections.abc import Iterator

import pytest

from tests.cluster.platform import CLUSTER
from tests.end_to_end.places import NOW


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test in every place where it can be."""
    places = ["embedded", pytest.param("cluster", marks=CLUSTER)]
    if metafunc.definition.get_closest_marker("one_process"):
        places = places[:1]
    metafunc.parametrize("place", places, indirect=True)


@pytest.fixture(autouse=True)
def place(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the test's platform runs."""
    where: str = request.param
    if where == "cluster":
        NOW.cluster = request.getfixturevalue("cluster_of_the_run")
    yield where
    NOW.cluster = None
