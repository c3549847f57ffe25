"""Ingestion's settings, read once at start from SOUNDFLOW_… variables."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class IngestionConfig(BaseSettings):
    """What ingestion listens on, and where it draws its limits."""

    model_config = SettingsConfigDict(env_prefix="SOUNDFLOW_", frozen=True)

    host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=0, le=65535)
    grpc_port: int = Field(default=50051, ge=0, le=65535)
    # Where other services hand over events for the callers here, and what they are told of it: host
    # and port as others reach them; by default those that it listens on. Only on a cluster.
    delivery_port: int = Field(default=50052, ge=0, le=65535)
    delivery_address: str = ""
    max_sessions: int = Field(default=64, ge=1)
    retry_after_s: int = Field(default=5, ge=1)
    # One message of live audio; 1 MiB is 33 s of 16 kHz PCM16, far more than a frame.
    max_message_bytes: int = Field(default=1 << 20, ge=1024)
    max_instruction_chars: int = Field(default=4000, ge=1)
    max_task_bytes: int = Field(default=2 << 30, ge=1024)
    # How far audio may run ahead of the clock before its sender is slowed to real time.
    burst_ms: int = Field(default=10_000, ge=400)
    # A sender that falls silent for this long is heard as silent, so that its speech is finished.
    quiet_after_ms: int = Field(default=2_000, ge=400)
    idle_close_s: float = Field(default=900, gt=0)
    # A caller that reads nothing is closed when this many events wait for it.
    outbox_events: int = Field(default=1000, ge=10)
    # A caller that vanished is found by pings that stay unanswered for this long.
    ping_interval_s: float = Field(default=1.5, gt=0)
    # For so long a caller whose connection broke may come back; 0: its sessions are closed at once.
    resume_within_s: float = Field(default=5, ge=0)
    # How often this replica says that it still holds its sessions; a third of their lease or less.
    lease_renew_s: float = Field(default=5, gt=0)
    # A connection must open its session within this time; an upload may pause for as long.
    open_within_s: float = Field(default=10, gt=0)
    # How long a caller may take to read what is left once its sessions are closed.
    read_grace_s: float = Field(default=5, gt=0)
    shutdown_grace_s: float = Field(default=10, ge=0)
