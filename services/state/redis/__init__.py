"""Session records in Redis, shared by all replicas: compare-and-set, leases, one capacity."""

from services.state.redis.config import RedisConfig
from services.state.redis.store import RedisSessionStore

__all__ = ["RedisConfig", "RedisSessionStore"]
