"""Redis' settings, read once at start from SOUNDFLOW_… variables."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class RedisConfig(BaseSettings):
    """Where session records are, and how long each thing may take."""

    model_config = SettingsConfigDict(env_prefix="SOUNDFLOW_", frozen=True)

    # redis:// or rediss://, with user and password where Redis wants them; ?ssl_ca_certs=… too.
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    redis_cluster: bool = False  # the URL is that of any node
    redis_prefix: str = "soundflow"
    # One command, attempts to connect again included; then Redis is taken to be away.
    redis_timeout_s: float = Field(default=1, gt=0)
    redis_connections: int = Field(default=16, ge=1)
    # Sessions open on the whole platform. All replicas must be told the same.
    capacity: int = Field(default=1000, ge=1)
    # A session that nobody renews for so long is closed: longer than a caller takes to come back.
    lease_s: float = Field(default=15, gt=0)
    # How long a record can still be read after its session has closed.
    closed_kept_s: float = Field(default=3600, gt=0)
