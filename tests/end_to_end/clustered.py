"""The platform as production runs it: real servers and processes, and a replica for each test."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic_settings import BaseSettings
from redis.asyncio import Redis

from services.core.events import CallerEvent
from services.core.wire import AUDIO, DECISIONS, FEATURES, RESPONSES, SESSIONS, TopicType
from services.inference.config import InferenceConfig
from services.ingestion.config import IngestionConfig
from services.ingestion.main import run_replica
from services.ingestion.servers import Addresses
from services.ingestion.service import IngestionService
from services.state.redis.config import RedisConfig
from services.transport.kafka.config import KafkaConfig
from soundflow.cascade.chat import ChatConfig
from stack.parts import Parts
from stack.server import Server
from stack.settings import StackSettings
from tests.cluster.platform import Cluster
from tests.end_to_end.watched import Watched
from tests.waiting import DEADLINE_S, until

SERVICES = ("perception", "decision", "response")
LOOK_EVERY_S = 0.05
FREED_WITHIN_S = 20.0  # of what an earlier test left: a lease, and the round that finds it over

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


@dataclass(frozen=True, slots=True)
class Served:
    """A model as Triton serves it: by its name. chat: what answers, where it is the cascade."""

    model: str = "null"
    chat: ChatConfig = ChatConfig()


@dataclass(frozen=True)
class ModelParts(Parts):
    """A model's own inference servers and services, on others' Kafka and Redis."""

    chat: ChatConfig

    @property
    def model_environment(self) -> Mapping[str, str]:
        """What Triton's models read."""
        return {
            **super().model_environment,
            "SOUNDFLOW_CHAT_BASE_URL": self.chat.base_url,
            "SOUNDFLOW_CHAT_MODEL": self.chat.model,
        }

    @property
    def own(self) -> list[Server]:
        """What runs for this model alone; a test brings its own ingestion replica."""
        kinds = ("encoder", "decoder", *SERVICES)
        names = {name for kind in kinds for name in self.settings.names(kind)}
        return [server for server in self.all if server.name in names]

    def start(self) -> None:
        """Start all at once, and wait until all are healthy; else all are ended."""
        self.settings.logs.mkdir(parents=True)
        self.create_topics()
        try:
            for server in self.own:
                server.launch()
            for server in self.own:
                server.ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all at once."""
        with ThreadPoolExecutor(len(self.own)) as pool:
            list(pool.map(Server.stop, self.own))


@dataclass(slots=True)
class Clusters:
    """The clusters of a test run, each of a model, started when a test first asks.

    cluster: the whole platform with the null model, which all tests of a run share; its Kafka and
    Redis serve the others too. folder: of theirs.
    """

    cluster: Callable[[], Cluster]
    folder: Path
    _parts: dict[Served, Parts] = field(default_factory=dict)
    _left: dict[Served, dict[str, int]] = field(default_factory=dict)

    def left(self, served: Served) -> dict[str, int]:
        """Return what earlier tests have left on the cluster of a model; it is waited for once."""
        return self._left.setdefault(served, {})

    async def of(self, served: Served) -> Parts:
        """Return the cluster of a model."""
        if served not in self._parts:
            first = self.cluster()
            # Tests of what happens when parts die may have been before.
            await until(lambda: not first.ill(), within_s=2 * DEADLINE_S)
            parts = first.platform.parts
            if served != Served():
                parts = await asyncio.to_thread(self._start, served, first.platform.settings)
            self._parts[served] = parts
        return self._parts[served]

    def stop(self) -> None:
        """End all but the first, which is others' to end."""
        others = [parts for parts in self._parts.values() if isinstance(parts, ModelParts)]
        with ThreadPoolExecutor(max(len(others), 1)) as pool:
            list(pool.map(ModelParts.stop, others))

    def _start(self, served: Served, first: StackSettings) -> Parts:
        name = f"{served.model}-{len(self._parts)}"
        own = StackSettings(
            folder=self.folder / name, model=served.model, encoders=1, decoders=1, prefix=name
        ).on_free_ports()
        shared = {name: first.ports[name] for name in ("kafka", "redis")}
        settings = replace(own, chosen_ports={**own.ports, **shared})
        parts = ModelParts(settings, served.chat)
        parts.start()
        return parts


@dataclass(frozen=True, slots=True)
class OnCluster:
    """What tests may know of a cluster beside what callers are told.

    left: what earlier tests have left of their sessions, and for which this one does not answer.
    """

    parts: Parts
    ingestion: IngestionService
    http: aiohttp.ClientSession
    left: dict[str, int]

    async def held(self) -> Mapping[str, int]:
        """Return how many sessions each part keeps something of, but for what was left before."""
        counts = await self._held_in_all()
        return {name: max(count - self.left.get(name, 0), 0) for name, count in counts.items()}

    async def _held_in_all(self) -> Mapping[str, int]:
        await asyncio.sleep(LOOK_EVERY_S)
        counts = {"ingestion": self.ingestion.open_sessions, "places": await self._places()}
        counts["engine"] = await self._sum("decoder", "metrics", "soundflow_decoder_sessions")
        for kind in SERVICES:
            counts[kind] = await self._sum(kind, "admin", "soundflow_sessions_held")
        return counts

    async def begin(self) -> None:
        """Wait until earlier sessions are gone; what is left then is not this test's."""

        async def free() -> bool:
            return not any((await self.held()).values())

        with suppress(TimeoutError):
            await until(free, within_s=FREED_WITHIN_S)
        self.left.update(await self._held_in_all())

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Watched]:
        """Read every topic as a stranger, from now on."""
        watched, config = Watched(), settings_of(self.parts, KafkaConfig)
        topics: list[tuple[TopicType[Any], list[Any]]] = [
            (AUDIO, watched.audio),
            (FEATURES, watched.features),
            (DECISIONS, watched.decisions),
            (SESSIONS, watched.sessions),
            (RESPONSES, watched.responses),
        ]
        consumer = AIOKafkaConsumer(bootstrap_servers=config.brokers, enable_auto_commit=False)
        await consumer.start()
        partitions = range(config.kafka_partitions)
        names = [config.topic(topic.name) for topic, _ in topics]
        consumer.assign([TopicPartition(name, number) for name in names for number in partitions])
        await consumer.seek_to_end()
        keeping = asyncio.create_task(_keep(consumer, dict(zip(names, topics, strict=True))))
        try:
            yield watched
        finally:
            keeping.cancel()
            await consumer.stop()

    async def _places(self) -> int:
        config = settings_of(self.parts, RedisConfig)
        async with Redis.from_url(config.redis_url.get_secret_value()) as redis:
            count: int = await redis.zcard(f"{{{config.redis_prefix}:leases}}:until")
        return count

    async def _sum(self, kind: str, purpose: str, metric: str) -> int:
        total = 0.0
        for name in self.parts.settings.names(kind):
            url = f"http://127.0.0.1:{self.parts.settings.ports[name][purpose]}/metrics"
            async with self.http.get(url) as response:
                lines = (await response.text()).splitlines()
            values = [float(line.split()[-1]) for line in lines if line.startswith(metric)]
            assert values, f"{name} says nothing of {metric}"
            total += sum(values)
        return round(total)


@asynccontextmanager
async def replica_of(
    parts: Parts, config: IngestionConfig
) -> AsyncIterator[tuple[IngestionService, Addresses]]:
    """Run one more ingestion replica of a cluster, with these settings, in this process."""
    replica = run_replica(
        config.model_copy(update={"delivery_port": 0}),
        settings_of(parts, InferenceConfig),
        settings_of(parts, KafkaConfig),
        settings_of(parts, RedisConfig),
    )
    async with replica as (service, addresses):
        yield service, addresses


def settings_of(parts: Parts, kind: type[SettingsT]) -> SettingsT:
    """Return what a cluster's own services read."""
    environment = parts.service_environment("ingestion-0")
    given: dict[str, Any] = {
        name.removeprefix("SOUNDFLOW_").lower(): value for name, value in environment.items()
    }
    return kind(**{name: given[name] for name in kind.model_fields if name in given})


async def _keep(
    consumer: AIOKafkaConsumer, topics: Mapping[str, tuple[TopicType[Any], list[Any]]]
) -> None:
    async for record in consumer:
        topic, seen = topics[record.topic]
        message = topic.load(record.value)
        if isinstance(message, CallerEvent):
            message = replace(message, id=record.offset + 1)
        seen.append(message)
