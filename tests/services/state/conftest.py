"""Session stores for tests: each over keys, or records, of its own."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial

import pytest
from pydantic import SecretStr

from services.state.memory import MemorySessionStore
from services.state.port import SessionStore
from services.state.redis import RedisConfig, RedisSessionStore
from stack.redis import RedisServer

LEASE_S = 0.6


def redis_config(
    server: RedisServer, *, prefix: str, capacity: int = 1000, lease_s: float = LEASE_S
) -> RedisConfig:
    return RedisConfig(
        redis_url=SecretStr(server.url), redis_prefix=prefix, capacity=capacity, lease_s=lease_s
    )


async def expired_in(store: SessionStore, seconds: float) -> dict[str, int]:
    """Ask for expired sessions again and again, as a replica does; return all that it was given."""
    taken: dict[str, int] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        given = await store.expired()
        assert not taken.keys() & given.keys()
        taken.update(given)
        await asyncio.sleep(0.05)
    return taken


@pytest.fixture
def prefix() -> str:
    return f"test-{secrets.token_hex(4)}"


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
async def make_store(
    request: pytest.FixtureRequest, prefix: str
) -> AsyncIterator[Callable[..., SessionStore]]:
    """Make a store of a capacity; on Redis all that a test makes share their records."""
    async with AsyncExitStack() as opened:

        def on_redis(capacity: int = 1000) -> SessionStore:
            server = request.getfixturevalue("redis_server")
            store = RedisSessionStore(redis_config(server, prefix=prefix, capacity=capacity))
            opened.push_async_callback(store.close)
            return store

        in_memory = partial(MemorySessionStore, lease_s=LEASE_S)
        yield on_redis if request.param == "redis" else in_memory


@pytest.fixture
def store(make_store: Callable[..., SessionStore]) -> SessionStore:
    return make_store()
