"""Each real server starts, forgets nothing when it is killed, and comes back on the same port."""

import time
from pathlib import Path

import numpy as np
import pytest
import redis
import tritonclient.grpc as triton_client
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from stack.errors import NotReady
from stack.kafka import KafkaServer
from stack.prometheus import PrometheusServer
from stack.redis import RedisServer
from stack.triton import TritonServer
from tests.waiting import until

# A broker that was killed stays fenced for its session timeout of 2 s, and has to start.
KAFKA_BACK_WITHIN_S = 20

CONFIG = """
name: "double"
backend: "python"
input [ { name: "IN", data_type: TYPE_FP32, dims: [ 4 ] } ]
output [ { name: "OUT", data_type: TYPE_FP32, dims: [ 4 ] } ]
"""
MODEL = """
import os
import triton_python_backend_utils as backend
import ctranslate2, onnxruntime  # what the cascade runs on is there
import soundflow.engine  # and so is the project

class TritonPythonModel:
    def execute(self, requests):
        factor = float(os.environ["FACTOR"])
        inputs = [backend.get_input_tensor_by_name(one, "IN").as_numpy() for one in requests]
        outputs = [backend.Tensor("OUT", (one * factor).astype("float32")) for one in inputs]
        return [backend.InferenceResponse([output]) for output in outputs]
"""


@pytest.mark.kafka
def test_a_killed_kafka_is_back_with_its_messages(tmp_path: Path) -> None:
    with KafkaServer(tmp_path / "kafka") as kafka:
        admin = KafkaAdminClient(bootstrap_servers=kafka.brokers)
        admin.create_topics([NewTopic("kept", num_partitions=1, replication_factor=1)])
        admin.close()
        producer = KafkaProducer(bootstrap_servers=kafka.brokers, acks="all")
        for value in (b"one", b"two"):
            producer.send("kept", value).get(10)
        producer.close()

        killed = kafka.pid
        kafka.kill()
        began = time.monotonic()
        kafka.start()
        assert time.monotonic() - began < KAFKA_BACK_WITHIN_S
        assert kafka.pid != killed

        consumer = KafkaConsumer(bootstrap_servers=kafka.brokers, auto_offset_reset="earliest")
        consumer.assign([TopicPartition("kept", 0)])
        assert [next(consumer).value for _ in range(2)] == [b"one", b"two"]
        consumer.close()


@pytest.mark.redis
def test_a_killed_redis_is_back_with_all_that_it_confirmed(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server:
        with redis.Redis.from_url(server.url) as client:
            client.set("kept", "yes")
        server.kill()
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("kept") == b"yes"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one model, which multiplies by what its environment says."""
    folder = tmp_path / "repository" / "double"
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text(CONFIG)
    (folder / "1" / "model.py").write_text(MODEL)
    return folder.parent


def infer(server: TritonServer) -> list[float]:
    client = triton_client.InferenceServerClient(server.address)
    given = triton_client.InferInput("IN", [4], "FP32")
    given.set_data_from_numpy(np.arange(4, dtype=np.float32))
    output = client.infer("double", [given], client_timeout=10).as_numpy("OUT")
    client.close()
    values: list[float] = output.tolist()
    return values


@pytest.mark.triton
def test_triton_runs_the_projects_models_and_leaves_nothing(
    tmp_path: Path, repository: Path
) -> None:
    server = TritonServer(tmp_path / "triton", repository, ["double"], {"FACTOR": "3"})
    with server:
        assert infer(server) == [0, 3, 6, 9]
        server.kill()
        assert not list(Path("/dev/shm").glob(f"{server._shared_memory}*"))
        server.start()
        assert infer(server) == [0, 3, 6, 9]
    assert not list(Path("/dev/shm").glob(f"{server._shared_memory}*"))


@pytest.mark.triton
def test_a_model_that_cannot_be_loaded_is_told_with_the_log(
    tmp_path: Path, repository: Path
) -> None:
    (repository / "double" / "1" / "model.py").write_text("raise RuntimeError('no such weights')")
    server = TritonServer(tmp_path / "triton", repository, ["double"])
    with pytest.raises(NotReady, match="no such weights"):
        server.start()
    with pytest.raises(NotReady, match="does not run"):
        _ = server.pid


@pytest.mark.prometheus
async def test_prometheus_scrapes_its_targets(tmp_path: Path) -> None:
    with PrometheusServer(tmp_path / "first", {}) as scraped:
        address = scraped.url.removeprefix("http://")
        up = {"__name__": "up", "job": "watched", "instance": address, "namespace": "soundflow"}
        with PrometheusServer(tmp_path / "second", {"watched": [address]}) as prometheus:
            await until(lambda: prometheus.query("up") == [(up, 1)])
