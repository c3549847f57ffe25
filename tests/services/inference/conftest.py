"""Inference servers beyond the one that all tests share."""

from collections.abc import Iterator

import pytest

from stack.triton import TritonServer
from tests.cluster.servers import MODEL_REPOSITORY
from tests.services.inference.triton_servers import MODELS


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[TritonServer]]:
    """Two servers of the null model, which a test may kill or stop, and starts again by `whole`."""
    env = {"SOUNDFLOW_MODEL": "null"}
    servers = [
        TritonServer(tmp_path_factory.mktemp(name), MODEL_REPOSITORY, MODELS, env, name=name)
        for name in ("one", "two")
    ]
    yield servers
    for server in servers:
        server.kill()


@pytest.fixture
def whole(pair: list[TritonServer]) -> list[TritonServer]:
    """The two servers, both running."""
    for server in pair:
        try:
            server.check()
        except Exception:  # of whichever kind: it does not run as it should
            server.kill()
            server.start()
    return pair


@pytest.fixture(scope="session")
def cascade_triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A server of the cascade."""
    env = {"SOUNDFLOW_MODEL": "cascade"}
    folder = tmp_path_factory.mktemp("cascade")
    with TritonServer(folder, MODEL_REPOSITORY, MODELS, env) as server:
        yield server
