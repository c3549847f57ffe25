"""Real servers for tests, each started when a test first asks, and stopped with the test run."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.kafka import KafkaServer
from stack.redis import RedisServer
from stack.triton import TritonServer

# Java's second compiler repays its work after minutes, which no broker of a test lives to see.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")

MODEL_REPOSITORY = Path(__file__).parents[2] / "model_repo"


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """An Apache Kafka broker; tests keep apart by topic prefixes of their own."""
    with KafkaServer(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis server; tests keep apart by key prefixes of their own."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A Triton server of the platform's own repository, with the model that needs no weights."""
    env = {"SOUNDFLOW_MODEL": "null"}
    models = ("encoder", "decoder")
    with TritonServer(tmp_path_factory.mktemp("triton"), MODEL_REPOSITORY, models, env) as server:
        yield server
