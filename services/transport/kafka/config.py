"""Kafka's settings, read once at start from SOUNDFLOW_… variables."""

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.core.wire import PARTITIONS


class KafkaConfig(BaseSettings):
    """Where the brokers are, and how long each thing may take."""

    model_config = SettingsConfigDict(env_prefix="SOUNDFLOW_", frozen=True)

    # host:port, several with commas between them.
    kafka_brokers: str = "127.0.0.1:9092"
    # Whether the way there is encrypted, and whether brokers ask who comes.
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    # A file of the authorities whose certificates brokers have; the system's own if empty.
    kafka_ca_file: str = ""
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_username: str = ""
    kafka_password: SecretStr = SecretStr("")
    topic_prefix: str = "soundflow"
    # Of every topic, as they were created; the most replicas that one service can have.
    kafka_partitions: int = Field(default=PARTITIONS, ge=1)
    # Longer than a broker takes to restart: until then a message waits for it.
    kafka_send_timeout_s: float = Field(default=60, gt=0)
    # A replica that is silent for so long loses its partitions to the others. Brokers refuse less
    # than their group.min.session.timeout.ms, which is 6 s where nobody has changed it.
    kafka_session_timeout_s: float = Field(default=6, gt=0)
    # What a killed replica had finished since its last commit is delivered again.
    kafka_commit_interval_s: float = Field(default=1, gt=0)
    # How many messages of one topic a process works on at once.
    kafka_in_flight: int = Field(default=4096, ge=1)
    # And how many it has taken that are not acknowledged: those too that are finished and wait for
    # an earlier one, such as the first chunk of a long turn of another session.
    kafka_unacknowledged: int = Field(default=32768, ge=1)
    # While messages wait and none arrives for so long, the consumer hangs and the process ends.
    kafka_stall_s: float = Field(default=30, gt=0)
    # One message may hold back the acknowledgement of those after it for so long.
    kafka_held_s: float = Field(default=300, gt=0)

    @model_validator(mode="after")
    def _check_user(self) -> Self:
        if self.kafka_authenticated and not (self.kafka_username and self.kafka_password):
            raise ValueError(
                f"SOUNDFLOW_KAFKA_SECURITY_PROTOCOL is {self.kafka_security_protocol}: set "
                "SOUNDFLOW_KAFKA_USERNAME and SOUNDFLOW_KAFKA_PASSWORD"
            )
        return self

    @property
    def kafka_encrypted(self) -> bool:
        """Whether the way to the brokers is TLS."""
        return self.kafka_security_protocol.endswith("SSL")

    @property
    def kafka_authenticated(self) -> bool:
        """Whether brokers are told a user."""
        return self.kafka_security_protocol.startswith("SASL")

    @property
    def brokers(self) -> list[str]:
        """The addresses."""
        return [address.strip() for address in self.kafka_brokers.split(",")]

    def topic(self, name: str) -> str:
        """Return a topic's name on the broker."""
        return f"{self.topic_prefix}.{name}"

    def group(self, name: str) -> str:
        """Return a consumer group's name on the broker."""
        return f"{self.topic_prefix}.{name}"
