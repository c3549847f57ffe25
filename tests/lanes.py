"""Which tests may run at the same time, in processes side by side: `pytest -n 5`."""

import re

import pytest
from _pytest.runner import runtestprotocol
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from stack import ports

# Folders whose tests share servers: started once, and too costly to start in every process.
SHARING_SERVERS = (
    "tests/cluster/",
    "tests/services/inference/",
    "tests/services/state/",
    "tests/services/transport/",
)
ON_A_CLUSTER = re.compile(r"tests/end_to_end/.*\[(.*-)?cluster(-.*)?\]$")
CLUSTER_LANE = "tests/end_to_end/ on a cluster"


def lane(nodeid: str) -> str:
    """Return what a test has in common with those that it must run in one process with.

    Others than those that share servers keep to their module, whose fixtures they share.
    """
    if ON_A_CLUSTER.match(nodeid):
        return CLUSTER_LANE
    module = nodeid.partition("::")[0]
    return next((folder for folder in SHARING_SERVERS if module.startswith(folder)), module)


def leaves_servers(nodeid: str, next_nodeid: str) -> bool:
    """Say whether the servers that a test shares with those before it serve nobody after it."""
    return lane(nodeid) in (*SHARING_SERVERS, CLUSTER_LANE) and lane(nodeid) != lane(next_nodeid)


class Lanes(LoadScopeScheduling):  # type: ignore[misc]  # xdist is not typed
    """Gives each process a lane after the other, those with the most tests first."""

    def _split_scope(self, nodeid: str) -> str:
        return lane(nodeid)


def pytest_configure(config: pytest.Config) -> None:
    """Give each process ports of its own: two that choose from all take one twice at times."""
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        ports.CHOICE = ports.CHOICE[int(worker["workerid"][2:]) :: worker["workercount"]]


@pytest.hookimpl(optionalhook=True)  # without `-n` and xdist, tests run one after the other
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    """Share the tests out by lanes."""
    return Lanes(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """End servers with their lane: until the end of a run they would take time from the others."""
    one_of_several = hasattr(item.config, "workerinput")
    if not one_of_several or nextitem is None or not leaves_servers(item.nodeid, nextitem.nodeid):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    runtestprotocol(item, nextitem=None)  # as if it were the last: all that is shared ends
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
