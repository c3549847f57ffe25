"""Every end-to-end test runs in both places: the platform in one process, and on a cluster."""

from collections.abc import AsyncIterator, Iterator

import pytest

from soundflow.models import Model
from tests.cluster.platform import CLUSTER
from tests.conftest import cascade_of
from tests.end_to_end.clustered import Clusters, Served
from tests.end_to_end.places import NOW
from tests.end_to_end.platform import Running, running


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test in every place where it can be; all of one place after the other."""
    places = ["embedded", pytest.param("cluster", marks=CLUSTER)]
    if metafunc.definition.get_closest_marker("one_process"):
        places = places[:1]
    metafunc.parametrize("place", places, indirect=True, scope="session")


@pytest.fixture(scope="session")
def clusters(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Clusters]:
    """The clusters that tests of this run ask for."""
    clusters = Clusters(
        lambda: request.getfixturevalue("cluster_of_the_run"), tmp_path_factory.mktemp("clusters")
    )
    yield clusters
    clusters.stop()


@pytest.fixture(scope="session", autouse=True)
def place(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the platform runs."""
    where: str = request.param
    if where == "cluster":
        NOW.clusters = request.getfixturevalue("clusters")
    yield where
    NOW.clusters = None


@pytest.fixture
def cascade(place: str, request: pytest.FixtureRequest) -> Model | Served:
    """The cascade; on a cluster its servers load it."""
    chat_config = request.getfixturevalue("chat_config")
    if place == "cluster":
        return Served("cascade", chat_config)
    return cascade_of(request.getfixturevalue("whisper_models"), chat_config)


@pytest.fixture
async def served() -> AsyncIterator[Running]:
    """The platform around the null model."""
    async with running() as served:
        yield served
