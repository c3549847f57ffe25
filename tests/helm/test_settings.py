import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings

from helm.check import CHART, render
from helm.settings import FROM_MANIFEST, SCHEMA, SECTIONS, properties, secrets, variable, write
from services.inference.config import InferenceConfig

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
# Where a cluster needs something else than a laptop.
OTHER_DEFAULTS = {
    ("kafka", "kafkaBrokers"): "",
    ("ingestion", "shutdownGraceS"): 60,
}
CALLS = ("--set", "config.kafka.kafkaBrokers=kafka:9092,secrets.redis.redisUrl.value=redis://here")

each_section = pytest.mark.parametrize(("section", "kind"), SECTIONS.items(), ids=list(SECTIONS))


def environment(manifest: dict[str, Any]) -> dict[str, str]:
    [container] = manifest["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


@each_section
def test_every_field_has_a_key_and_every_key_a_field(
    section: str, kind: type[BaseSettings]
) -> None:
    assert sorted(VALUES["config"][section]) == sorted(properties(kind))


def test_there_is_a_section_for_each_class_and_no_other() -> None:
    assert set(VALUES["config"]) == set(SECTIONS)


@each_section
def test_every_secret_field_comes_from_a_secret(section: str, kind: type[BaseSettings]) -> None:
    assert sorted(VALUES["secrets"].get(section, {})) == sorted(secrets(kind))


@each_section
def test_values_are_the_classes_defaults(section: str, kind: type[BaseSettings]) -> None:
    defaults = {
        to_camel(name): field.get_default(call_default_factory=True)
        for name, field in kind.model_fields.items()
    }
    for key, value in VALUES["config"][section].items():
        assert value == OTHER_DEFAULTS.get((section, key), defaults[key]), key


def test_no_other_default_is_left_over() -> None:
    keys = {(section, key) for section, keys in VALUES["config"].items() for key in keys}
    assert set(OTHER_DEFAULTS) <= keys


def test_the_schema_says_what_the_classes_say() -> None:
    schema = json.loads(SCHEMA.read_text())
    written = copy.deepcopy(schema)
    write(written)
    assert written == schema, "bring it up to date: make helm-schema"


@pytest.mark.usefixtures("helm")
def test_services_read_what_values_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From values through the manifest into the class, large numbers and fractions included."""
    values = tmp_path / "values.yaml"
    values.write_text("""
config:
  kafka: {topicPrefix: calls, kafkaSendTimeoutS: 12.5}
  ingestion: {maxTaskBytes: 3221225472, idleCloseS: 0.25}
""")
    manifests = render(*CALLS, "--values", str(values))
    [ingestion] = [
        manifest
        for manifest in manifests
        if manifest["kind"] == "Deployment" and manifest["metadata"]["name"].endswith("-ingestion")
    ]
    assert environment(ingestion)["SOUNDFLOW_DELIVERY_ADDRESS"] == "$(POD_IP):50052"
    for name, value in environment(ingestion).items():
        monkeypatch.setenv(name, value)
    kafka, faces = SECTIONS["kafka"](), SECTIONS["ingestion"]()
    assert kafka.model_dump()["topic_prefix"] == "calls"
    assert kafka.model_dump()["kafka_brokers"] == "kafka:9092"
    assert kafka.model_dump()["kafka_send_timeout_s"] == 12.5
    assert faces.model_dump()["max_task_bytes"] == 3 << 30
    assert faces.model_dump()["idle_close_s"] == 0.25
    assert SECTIONS["redis"]().model_dump()["redis_url"].get_secret_value() == "redis://here"
    assert InferenceConfig().decoders == ["soundflow-decoder.calls.svc:8001"]
    assert faces.model_dump()["host"] == "0.0.0.0"


@pytest.mark.usefixtures("helm")
@pytest.mark.parametrize("component", ["ingestion", "perception", "decision", "response"])
def test_every_variable_is_one_that_a_class_reads(component: str) -> None:
    read = {variable(name) for kind in SECTIONS.values() for name in kind.model_fields}
    [deployment] = [
        manifest
        for manifest in render(*CALLS)
        if manifest["kind"] == "Deployment"
        and manifest["metadata"]["name"].endswith(f"-{component}")
    ]
    given = {name for name in environment(deployment) if name.startswith("SOUNDFLOW_")}
    assert given <= read
    assert {variable(name) for name in FROM_MANIFEST} <= read
