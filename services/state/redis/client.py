"""The way to Redis: connections that come back, a deadline for all, and one error for all."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import EqualJitterBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError, ResponseError

from services.core.errors import Unavailable
from services.state.redis.config import RedisConfig

log = logging.getLogger(__name__)

_LUA = Path(__file__).parent / "lua"
_FOR_EVER = 1_000_000  # attempts: the deadline ends them


class WrongType(Exception):
    """A key holds something that is not ours."""


class RedisClient:
    """A few connections that all calls share; scripts by the names of their files in lua/."""

    def __init__(self, config: RedisConfig) -> None:
        self._timeout_s = config.redis_timeout_s
        self._redis = _connect(config)
        self._turns = asyncio.Semaphore(config.redis_connections)
        self._away = False

    def script(self, *names: str) -> AsyncScript:
        """Return a script, of one file or of several in a row."""
        text = "".join((_LUA / f"{name}.lua").read_text() for name in names)
        return self._redis.register_script(text)

    async def run(self, script: AsyncScript, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run a script. Raises Unavailable, or WrongType."""
        async with self._within_deadline():
            return await script(keys, args)

    async def read(self, key: str, fields: Sequence[str]) -> list[Any]:
        """Return fields of a hash; None for each that is not there. Raises as `run` does."""
        async with self._within_deadline():
            return await self._redis.hmget(key, list(fields))

    async def keep(self, keys: Sequence[str], kept_ms: int) -> None:
        """Let keys expire so long from now. Raises Unavailable."""
        # Not as one transaction: the keys of a cluster are in many places.
        pipeline = self._redis.pipeline(transaction=False)
        for key in keys:
            pipeline.pexpire(key, kept_ms)
        async with self._within_deadline():
            await pipeline.execute()

    async def check(self) -> None:
        """Raise Unavailable while Redis does not answer."""
        async with self._within_deadline():
            await self._redis.ping()

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    @asynccontextmanager
    async def _within_deadline(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout_s), self._turns:
                yield
        except ResponseError as error:
            if "WRONGTYPE" in str(error):  # at the start, or in a script's error
                raise WrongType(str(error)) from error
            self._gone(error)
            raise _unavailable() from error
        except (RedisError, OSError, TimeoutError) as error:
            self._gone(error)
            raise _unavailable() from error
        if self._away:
            self._away = False
            log.info("Redis is back")

    def _gone(self, error: Exception) -> None:
        if not self._away:  # told once, not for each call
            self._away = True
            log.warning("Redis is away: %s", str(error) or type(error).__name__)


def _connect(config: RedisConfig) -> Redis | RedisCluster:
    # A connection that went dead without a word is given up early enough for another try.
    one_try_s = config.redis_timeout_s / 2
    kind: type[Redis] | type[RedisCluster] = RedisCluster if config.redis_cluster else Redis
    return kind.from_url(
        config.redis_url.get_secret_value(),
        max_connections=config.redis_connections,
        socket_timeout=one_try_s,
        socket_connect_timeout=one_try_s,
        retry=Retry(EqualJitterBackoff(cap=0.2, base=0.01), _FOR_EVER),
        protocol=2,
    )


def _unavailable() -> Unavailable:
    return Unavailable(
        "store_unavailable", "session records cannot be reached now; try again in a few seconds"
    )
