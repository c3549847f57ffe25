"""Where the platform of an end-to-end test runs: in one process, or as production runs it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic_settings import BaseSettings

from services.inference.config import InferenceConfig
from services.ingestion.config import IngestionConfig
from services.ingestion.main import run_replica
from services.ingestion.servers import Addresses
from services.ingestion.service import IngestionService
from services.state.redis.config import RedisConfig
from services.transport.kafka.config import KafkaConfig
from tests.cluster.platform import Cluster

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


@dataclass(slots=True)
class Place:
    """The place of the test that runs now. cluster: None where it is one process."""

    cluster: Cluster | None = None


NOW = Place()


@asynccontextmanager
async def replica_of(
    cluster: Cluster, config: IngestionConfig
) -> AsyncIterator[tuple[IngestionService, Addresses]]:
    """Run one more ingestion replica of a cluster, with these settings, in this process."""
    config = config.model_copy(update={"delivery_port": 0})
    others = (settings_of(cluster, kind) for kind in (InferenceConfig, KafkaConfig, RedisConfig))
    inference, kafka, redis = others
    async with run_replica(config, inference, kafka, redis) as replica:  # type: ignore[arg-type]
        yield replica


def settings_of(cluster: Cluster, kind: type[SettingsT]) -> SettingsT:
    """Return what the cluster's own services read."""
    environment = cluster.platform.parts.service_environment("ingestion-0")
    given: dict[str, Any] = {
        name.removeprefix("SOUNDFLOW_").lower(): value for name, value in environment.items()
    }
    return kind(**{name: given[name] for name in kind.model_fields if name in given})


def held(cluster: Cluster, ingestion: IngestionService) -> dict[str, int]:
    """How many sessions each part still keeps something of, as they say themselves."""
    counts = {
        service: round(cluster.counted("soundflow_sessions_held", service=service))
        for service in ("perception", "decision", "response")
    }
    engine = round(cluster.counted("soundflow_decoder_sessions"))
    return {"ingestion": ingestion.open_sessions, "engine": engine, **counts}
