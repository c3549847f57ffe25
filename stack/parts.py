"""Every part of the platform on this machine, joined to the others by its settings."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from soundflow.checkpoint import CheckpointError
from soundflow.models import is_checkpoint, model_names
from stack.errors import NotReady
from stack.kafka import KafkaServer
from stack.kafka.settings import CONSUMER_SESSION_TIMEOUT_S
from stack.ports import HOST
from stack.prometheus import PrometheusServer
from stack.redis import RedisServer
from stack.server import Server
from stack.service import Service
from stack.settings import MODELS, ROOT, SERVICES, StackSettings
from stack.triton import TritonServer

# Few, as a broker that was killed reads each again before it serves any. More replicas of a service
# than these have nothing to do.
PARTITIONS = 4
MODEL_REPOSITORY = ROOT / "model_repo"
ALERTS = ROOT / "helm" / "soundflow" / "alerts"


@dataclass(frozen=True)
class Parts:
    """The servers that the services need, and the services, each in a folder of its name."""

    settings: StackSettings

    @cached_property
    def servers(self) -> Sequence[Server]:
        """What must run before any service does."""
        return self._logged(self.kafka, self.redis, *self.tritons, self.prometheus)

    @cached_property
    def services(self) -> Sequence[Server]:
        """The four services, with all their replicas."""
        return self._logged(
            *(self._service(kind, name) for kind in SERVICES for name in self.settings.names(kind))
        )

    @property
    def all(self) -> Sequence[Server]:
        """In the order in which they start."""
        return [*self.servers, *self.services]

    @cached_property
    def kafka(self) -> KafkaServer:
        """The broker."""
        ports = self.settings.ports["kafka"]
        return KafkaServer(self._folder("kafka"), ports["broker"], ports["controller"])

    @cached_property
    def redis(self) -> RedisServer:
        """The session store."""
        return RedisServer(self._folder("redis"), self.settings.ports["redis"]["redis"])

    @cached_property
    def tritons(self) -> Sequence[TritonServer]:
        """The inference servers: each of one model."""
        return [self._triton(kind, name) for kind in MODELS for name in self.settings.names(kind)]

    @cached_property
    def prometheus(self) -> PrometheusServer:
        """What scrapes all that has metrics; a job is one kind of part."""
        targets = {
            **{kind: self._addresses(kind, "admin") for kind in SERVICES},
            **{kind: self._addresses(kind, "metrics") for kind in MODELS},
        }
        port = self.settings.ports["prometheus"]["http"]
        rules = sorted(ALERTS.glob("*.yaml"))
        return PrometheusServer(self._folder("prometheus"), targets, rules, port)

    @property
    def model_environment(self) -> Mapping[str, str]:
        """What Triton's models read."""
        return {"SOUNDFLOW_MODEL": self.settings.model}

    def service_environment(self, name: str) -> Mapping[str, str]:
        """What one replica of a service reads."""
        ports = self.settings.ports[name]
        own = {f"SOUNDFLOW_{purpose.upper()}_PORT": str(port) for purpose, port in ports.items()}
        if "delivery" in ports:
            own["SOUNDFLOW_DELIVERY_ADDRESS"] = f"{HOST}:{ports['delivery']}"
        return {
            **own,
            "SOUNDFLOW_HOST": HOST,
            "SOUNDFLOW_KAFKA_BROKERS": self.kafka.brokers,
            "SOUNDFLOW_KAFKA_PARTITIONS": str(PARTITIONS),
            "SOUNDFLOW_KAFKA_SESSION_TIMEOUT_S": str(CONSUMER_SESSION_TIMEOUT_S),
            "SOUNDFLOW_TOPIC_PREFIX": self.settings.prefix,
            "SOUNDFLOW_REDIS_URL": self.redis.url,
            "SOUNDFLOW_REDIS_PREFIX": self.settings.prefix,
            "SOUNDFLOW_ENCODER_ADDRESSES": ",".join(self._addresses("encoder", "grpc")),
            "SOUNDFLOW_DECODER_ADDRESSES": ",".join(self._addresses("decoder", "grpc")),
        }

    @property
    def topics_command(self) -> Sequence[str]:
        """What creates the topics that the broker lacks."""
        return ["soundflow", "topics", "create"]

    def create_topics(self) -> None:
        """Create them. Raises NotReady."""
        soundflow, *arguments = self.topics_command
        command = [str(Path(sys.executable).with_name(soundflow)), *arguments]
        env = {**os.environ, **self.service_environment(self.services[0].name)}
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        if done.returncode != 0:
            raise NotReady(f"soundflow topics create failed: {done.stdout}{done.stderr}")

    @property
    def model_repository(self) -> Path:
        """Triton's: the committed one, or where a checkpoint needs its own, in the folder."""
        own = is_checkpoint(self.settings.model)
        return self._folder("model_repo") if own else MODEL_REPOSITORY

    def write_model_repository(self) -> None:
        """Write the one that a checkpoint needs. Raises NotReady, also where there is no model."""
        model = self.settings.model
        if not is_checkpoint(model):
            if model not in model_names():
                known = ", ".join(model_names())
                raise NotReady(f"there is no model {model!r}; choose {known}, or a folder's path")
            return
        from training.export import write_repository

        # What was rolled out in an earlier run would be newer than what is asked for.
        shutil.rmtree(self.model_repository, ignore_errors=True)
        try:
            write_repository(model, self.model_repository)
        except CheckpointError as error:
            raise NotReady(f"there is no model: {error}") from error

    def _service(self, kind: str, name: str) -> Service:
        env = self.service_environment(name)
        return Service(self._folder(name), kind, name, self.settings.ports[name], env)

    def _triton(self, model: str, name: str) -> TritonServer:
        ports = self.settings.ports[name]
        return TritonServer(
            self._folder(name),
            self.model_repository,
            [model],
            self.model_environment,
            grpc_port=ports["grpc"],
            http_port=ports["http"],
            metrics_port=ports["metrics"],
            name=name,
        )

    def _addresses(self, kind: str, purpose: str) -> list[str]:
        return [f"{HOST}:{self.settings.ports[n][purpose]}" for n in self.settings.names(kind)]

    def _folder(self, name: str) -> Path:
        return self.settings.folder / name

    def _logged(self, *servers: Server) -> Sequence[Server]:
        for server in servers:
            server.log = self.settings.logs / f"{server.name}.log"
        return servers
