"""compose.yaml runs what `make up` runs: the same parts, each with the same settings."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.core.runner import RunnerConfig
from services.ingestion.config import IngestionConfig
from stack import redis
from stack.kafka.server import CLUSTER_ID
from stack.kafka.settings import BROKER, ONE_NODE
from stack.parts import Parts
from stack.service import Service
from stack.settings import MODELS, SERVICES, StackSettings

ROOT = Path(__file__).parents[2]
COMPOSE: Mapping[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
CONTAINERS: Mapping[str, Any] = COMPOSE["services"]
PARTS = Parts(StackSettings())

# Where each kind of part listens in its container, as its image or its config class has it.
TRITON = {"http": 8000, "grpc": 8001, "metrics": 8002}
ADMIN = RunnerConfig.model_fields["admin_port"].default
INSIDE: Mapping[str, Mapping[str, int]] = {
    "kafka": {"broker": 9092, "controller": 9093},
    "redis": {"redis": 6379},
    "encoder": TRITON,
    "decoder": TRITON,
    **{kind: {"admin": ADMIN} for kind in SERVICES},
    "ingestion": {
        "admin": ADMIN,
        "delivery": IngestionConfig.model_fields["delivery_port"].default,
    },
}


def in_containers(text: str) -> str:
    """Put a container's address in the place of each address on one machine."""
    for kind, inside in INSIDE.items():
        for name in PARTS.settings.names(kind):
            for purpose, port in inside.items():
                here = f"127.0.0.1:{PARTS.settings.ports[name][purpose]}"
                text = text.replace(here, f"{name}:{port}")
    return text


def test_it_runs_the_same_parts() -> None:
    beside = {"topics", "grafana"}
    assert CONTAINERS.keys() - beside == {part.name for part in PARTS.all}


def test_kafka_has_the_same_settings() -> None:
    """The image takes `a.b` as KAFKA_A_B."""
    given = {
        name.removeprefix("KAFKA_").replace("_", ".").lower(): str(value)
        for name, value in CONTAINERS["kafka"]["environment"].items()
    }
    ours = PARTS.kafka.settings
    places = {"advertised.listeners", "controller.quorum.voters", "listeners", "log.dirs"}
    assert given.pop("cluster.id") == CLUSTER_ID
    assert given.keys() == ours.keys()
    assert all(given[name] == ours[name] for name in ours.keys() - places)
    assert given["advertised.listeners"] == "PLAINTEXT://kafka:9092"
    assert {**BROKER, **ONE_NODE}.items() <= given.items()


def test_kafka_has_the_same_version() -> None:
    pom = (ROOT / "stack" / "kafka" / "pom.xml").read_text()
    version = re.search(r"<artifactId>kafka_2.13</artifactId>\s*<version>(.+)</version>", pom)
    assert version is not None
    assert CONTAINERS["kafka"]["image"] == f"apache/kafka:{version[1]}"


def test_redis_has_the_same_settings() -> None:
    server, *options = CONTAINERS["redis"]["command"]
    assert server == "redis-server"
    assert dict(zip(options[::2], options[1::2], strict=True)) == {
        f"--{name}": value for name, value in redis.SETTINGS.items()
    }


@pytest.mark.parametrize("name", [n for kind in MODELS for n in PARTS.settings.names(kind)])
def test_triton_serves_the_same_model_the_same_way(name: str) -> None:
    container = CONTAINERS[name]
    triton = next(one for one in PARTS.tritons if one.name == name)
    assert triton.options <= set(container["command"])
    default = {key: f"${{MODEL:-{value}}}" for key, value in PARTS.model_environment.items()}
    assert container["environment"] == default


@pytest.mark.parametrize("service", PARTS.services, ids=lambda service: service.name)
def test_services_have_the_same_settings(service: Service) -> None:
    container = CONTAINERS[service.name]
    assert container["command"] == ["python", "-m", f"services.{service.kind}.main"]
    ours = {name: in_containers(value) for name, value in service.env.items()}
    ports = {name for name in ours if name.endswith("_PORT")}
    same = {name: value for name, value in ours.items() if name not in ports}
    assert container["environment"] == {**same, "SOUNDFLOW_HOST": "0.0.0.0"}


def test_callers_find_ingestion_where_make_up_has_it() -> None:
    ports = PARTS.settings.ports["ingestion-0"]
    published = {f"127.0.0.1:{ports[name]}:{ports[name]}" for name in ("http", "grpc")}
    assert set(CONTAINERS["ingestion-0"]["ports"]) == published
    fields = IngestionConfig.model_fields
    assert (fields["http_port"].default, fields["grpc_port"].default) == (
        ports["http"],
        ports["grpc"],
    )


def test_nothing_is_published_beyond_this_machine() -> None:
    published = [port for one in CONTAINERS.values() for port in one.get("ports", [])]
    assert published and all(port.startswith("127.0.0.1:") for port in published)


def test_topics_are_created_on_the_same_broker() -> None:
    assert shlex.join(CONTAINERS["topics"]["command"]) == shlex.join(PARTS.topics_command)
    assert CONTAINERS["topics"]["environment"]["SOUNDFLOW_KAFKA_BROKERS"] == "kafka:9092"


def test_prometheus_scrapes_the_same() -> None:
    given = yaml.safe_load(COMPOSE["configs"]["prometheus"]["content"])
    ours = yaml.safe_load(in_containers(yaml.safe_dump(PARTS.prometheus.settings)))
    del given["rule_files"], ours["rule_files"]
    assert given == ours


def test_every_file_that_it_names_is_there() -> None:
    dockerfiles = {one["build"]["dockerfile"] for one in CONTAINERS.values() if "build" in one}
    mounted = {
        volume.split(":")[0]
        for one in CONTAINERS.values()
        for volume in one.get("volumes", [])
        if volume.startswith("./")
    }
    assert dockerfiles and mounted
    assert all((ROOT / path).exists() for path in dockerfiles | mounted)
