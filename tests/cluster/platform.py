"""The whole platform for tests: every part real, two of each, around a model without weights."""

import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from bench.counted import counted
from bench.usage import pids
from stack.parts import Parts
from stack.platform import Platform, marked
from stack.settings import StackSettings
from tests.waiting import until

# What a test that uses `cluster` is marked with.
CLUSTER = [
    *(pytest.mark.kafka, pytest.mark.redis, pytest.mark.triton, pytest.mark.prometheus),
    pytest.mark.timeout(400),  # the first one waits for all of it to start
]
WELL_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """The platform while it runs, and what tests ask of it."""

    platform: Platform

    @property
    def urls(self) -> list[str]:
        """Where callers over HTTP and WebSocket come, one for each ingestion replica."""
        return [f"http://127.0.0.1:{port}" for port in self._ports("ingestion", "http")]

    @property
    def grpc(self) -> list[str]:
        """The same for gRPC."""
        return [f"127.0.0.1:{port}" for port in self._ports("ingestion", "grpc")]

    @property
    def brokers(self) -> str:
        """Where Kafka is."""
        return self.platform.parts.kafka.brokers

    def topic(self, name: str) -> str:
        """Return a topic's whole name."""
        return f"{self.platform.settings.prefix}.{name}"

    def counted(self, metric: str, **labels: str) -> float:
        """Return a metric's sum over all parts, and over the labels that are not named."""
        return counted(self.platform, metric, **labels)

    def processes(self) -> Mapping[str, int]:
        """Return the process of each part."""
        return pids(self.platform)

    def kill(self, kind: str) -> None:
        """End the first part of a kind as a failing machine would; it is started again."""
        pid = self.processes()[self.platform.settings.names(kind)[0]]
        os.killpg(os.getpgid(pid), signal.SIGKILL)

    def ill(self) -> list[str]:
        """Return which parts are not as they should be."""
        return [one.server.name for one in self.platform.look() if one.health]

    def _ports(self, kind: str, purpose: str) -> list[int]:
        settings = self.platform.settings
        return [settings.ports[name][purpose] for name in settings.names(kind)]


@pytest.fixture(scope="session")
def cluster_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One platform for all tests of a run."""
    folder = tmp_path_factory.mktemp("cluster") / "stack"
    settings = StackSettings(folder=folder, model="null", replicas=2)
    platform = Platform(Parts(settings.on_free_ports()))
    platform.up(print)
    yield Cluster(platform)
    platform.down()
    assert marked(folder) == []


@pytest.fixture
async def cluster(cluster_of_the_run: Cluster) -> Cluster:
    """The same with every part well, whatever an earlier test did to it."""
    await until(lambda: not cluster_of_the_run.ill(), within_s=WELL_WITHIN_S)
    return cluster_of_the_run
