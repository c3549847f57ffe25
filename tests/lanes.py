"""Which tests may run at the same time, in processes side by side: `pytest -n 4`."""

import re

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Folders whose tests share servers: started once, and too costly to start in every process.
SHARING_SERVERS = (
    "tests/cluster/",
    "tests/services/inference/",
    "tests/services/state/",
    "tests/services/transport/",
)
ON_A_CLUSTER = re.compile(r"tests/end_to_end/.*\[(.*-)?cluster(-.*)?\]$")


def lane(nodeid: str) -> str:
    """Return what a test has in common with those that it must run in one process with.

    Others than those that share servers keep to their module, whose fixtures they share.
    """
    if ON_A_CLUSTER.match(nodeid):
        return "tests/end_to_end/ on a cluster"
    module = nodeid.partition("::")[0]
    return next((folder for folder in SHARING_SERVERS if module.startswith(folder)), module)


class Lanes(LoadScopeScheduling):  # type: ignore[misc]  # xdist is not typed
    """Gives each process a lane after the other, those with the most tests first."""

    def _split_scope(self, nodeid: str) -> str:
        return lane(nodeid)


@pytest.hookimpl(optionalhook=True)  # without `-n` and xdist, tests run one after the other
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    """Share the tests out by lanes."""
    return Lanes(config, log)
