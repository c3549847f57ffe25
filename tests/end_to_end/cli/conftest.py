from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.end_to_end.cli.command import LENGTH_S, Platform


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
def server() -> Iterator[str]:
    platform = Platform()
    yield platform.url
    platform.stop()
