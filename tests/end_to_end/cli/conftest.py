from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.end_to_end.cli.command import LENGTH_S, Platform
from tests.end_to_end.cli.replica import Replica
from tests.end_to_end.clustered import Clusters


@pytest.fixture(scope="package")
def call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mono and quiet call."""
    path = tmp_path_factory.mktemp("audio") / "call.wav"
    soundfile.write(path, np.full(int(16_000 * LENGTH_S), 0.01, np.float32), 16_000)
    return path


@pytest.fixture(scope="package")
def long_call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes, longer than any test."""
    path = tmp_path_factory.mktemp("audio") / "long.wav"
    soundfile.write(path, np.zeros(16_000 * 600, np.float32), 16_000)
    return path


@pytest.fixture(scope="package")
def stereo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audio") / "stereo.flac"
    soundfile.write(path, np.full((int(8_000 * LENGTH_S), 2), 0.01, np.float32), 8_000)
    return path


@pytest.fixture(scope="package")
def new_server(
    place: str, clusters: Clusters, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Platform | Replica]:
    """Start a process that callers connect to, with room for two sessions."""
    if place == "embedded":
        return Platform
    return lambda: Replica(clusters.cluster().platform.parts, tmp_path_factory.mktemp("replica"))


@pytest.fixture(scope="package")
def server(new_server: Callable[[], Platform | Replica]) -> Iterator[str]:
    platform = new_server()
    yield platform.url
    platform.stop()
