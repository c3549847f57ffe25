"""What some tests need beside the code, and what happens where it is missing."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from bench.browser import CHROMIUM
from soundflow.cascade.chat import ChatConfig
from soundflow.cascade.decoder import CascadeDecoder
from soundflow.cascade.encoder import CascadeEncoder
from soundflow.cascade.turn_end import TurnEnd
from soundflow.cascade.whisper import WhisperRuntime
from soundflow.cascade.whisper_model import WhisperModel
from soundflow.checkpoint import CheckpointError, expand, locate
from soundflow.models import Model
from stack import fetch
from stack.fetch import NEEDS

pytest_plugins = ["tests.cluster.servers", "tests.cluster.platform", "tests.lanes"]


@cache
def missing_weights() -> str:
    """Say which weights are not on this disk; "" when all are."""
    try:
        for name in expand("cascade"):
            locate(name)
    except CheckpointError as error:
        return f"{error}; all at once: make models"
    return ""


@cache
def missing_server(name: str) -> str:
    """Say what a kind of server lacks; "" when it can be started."""
    return fetch.missing(name)


def missing(item: pytest.Item) -> str:
    """Say what a test needs that is not here; "" when nothing is missing."""
    if item.get_closest_marker("models") and missing_weights():
        return missing_weights()
    if item.get_closest_marker("browser") and CHROMIUM is None:
        return "there is no Chromium; install your system's package of it"
    reasons = (missing_server(name) for name in NEEDS if item.get_closest_marker(name))
    return next(filter(None, reasons), "")


@pytest.hookimpl(tryfirst=True)  # before any fixture loads what is missing
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that lacks something; where every test must run, fail it."""
    reason = missing(item)
    if not reason:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def one_torch_thread() -> Iterator[None]:
    """Small tensors are not worth a second thread, and it is slow where others compute."""
    import torch  # most tests need none of it

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def golden_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as it is published, with the golden weights."""
    from tests.soundflow.checkpoint.folders import write_published  # torch takes its time

    return write_published(tmp_path_factory.mktemp("checkpoint") / "golden")


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint of the small model's kind, with random weights in float16."""
    from tests.soundflow.unified.small import write_small  # torch takes its time

    return write_small(tmp_path_factory.mktemp("checkpoint") / "small")


@pytest.fixture(scope="session")
def whisper_models() -> tuple[WhisperModel, WhisperModel]:
    """The English and the multilingual Whisper, loaded once: it takes a second and a half."""
    return WhisperModel(locate("whisper-tiny.en")), WhisperModel(locate("whisper-base"))


@pytest.fixture
def chat_config() -> ChatConfig:
    """Who answers questions to the cascade; a module may name another."""
    return ChatConfig()


@pytest.fixture
def cascade(whisper_models: tuple[WhisperModel, WhisperModel], chat_config: ChatConfig) -> Model:
    """The cascade with all its weights."""
    return cascade_of(whisper_models, chat_config)


def cascade_of(whisper_models: tuple[WhisperModel, WhisperModel], chat_config: ChatConfig) -> Model:
    """Put the cascade together."""
    decoder = CascadeDecoder(WhisperRuntime(*whisper_models), TurnEnd(), chat_config)
    return Model(CascadeEncoder.pretrained(), decoder)
