from pathlib import Path

import pytest

from services.core.runner import RunnerConfig
from services.inference.config import InferenceConfig
from services.ingestion.config import IngestionConfig
from services.state.redis.config import RedisConfig
from services.transport.kafka.config import KafkaConfig
from stack.parts import Parts
from stack.settings import SERVICES, StackSettings


def test_no_two_parts_share_a_port_even_at_their_most() -> None:
    settings = StackSettings(replicas=9, encoders=9, decoders=9)
    ports = [port for ports in settings.ports.values() for port in ports.values()]
    assert len(ports) == len(set(ports))


def test_every_part_listens_where_the_table_says(tmp_path: Path) -> None:
    settings = StackSettings(folder=tmp_path, replicas=2)
    parts = Parts(settings)
    assert {part.name: part.ports for part in parts.all} == settings.ports
    assert [part.name for part in parts.services] == [
        f"{kind}-{index}" for kind in SERVICES for index in (0, 1)
    ]


def test_services_and_models_are_told_only_what_their_settings_know(tmp_path: Path) -> None:
    known = {
        f"SOUNDFLOW_{field.upper()}"
        for config in (IngestionConfig, InferenceConfig, KafkaConfig, RedisConfig, RunnerConfig)
        for field in config.model_fields
    }
    parts = Parts(StackSettings(folder=tmp_path))
    told = set(parts.model_environment)
    for kind in SERVICES:
        told |= parts.service_environment(f"{kind}-0").keys()
    assert told <= known


def test_what_a_platform_was_started_with_is_kept(tmp_path: Path) -> None:
    settings = StackSettings(folder=tmp_path, model="null", decoders=3).on_free_ports()
    assert StackSettings.saved(tmp_path) is None
    settings.save()
    assert StackSettings.saved(tmp_path) == settings
    settings.forget()
    assert StackSettings.saved(tmp_path) is None


def test_free_ports_leave_the_table(tmp_path: Path) -> None:
    settings = StackSettings(folder=tmp_path)
    free = settings.on_free_ports()
    assert free.ports.keys() == settings.ports.keys()
    chosen = [port for ports in free.ports.values() for port in ports.values()]
    assert len(chosen) == len(set(chosen))


@pytest.mark.parametrize("field", ["replicas", "encoders", "decoders"])
@pytest.mark.parametrize("count", [0, 10])
def test_too_few_or_too_many_of_a_part_are_refused(field: str, count: int) -> None:
    with pytest.raises(ValueError, match=f"{field} must be from 1 to 9, not {count}"):
        StackSettings(**{field: count})  # type: ignore[arg-type]
