"""Session stores for tests: each over keys, or records, of its own."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial

import pytest
from pydantic import SecretStr

from services.state.memory import MemorySessionStore
from services.state.port import SessionStore
from services.state.redis import RedisConfig, RedisSessionStore
from stack.redis import RedisServer
from tests.waiting import until

LEASE_S = 0.6
CLOCKS_S = 0.01  # how far a store's clock may differ from a test's within a lease


def redis_config(
    server: RedisServer, *, prefix: str, capacity: int = 1000, lease_s: float = LEASE_S
) -> RedisConfig:
    return RedisConfig(
        redis_url=SecretStr(server.url), redis_prefix=prefix, capacity=capacity, lease_s=lease_s
    )


async def expired(
    *stores: SessionStore, count: int, renewed: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Ask for expired sessions again and again, as replicas do; return the first that are given.

    However long it takes: a lease ends no earlier than it says, but later on a busy machine.

    Args:
        count: So many are waited for, and no more may be given with them.
        renewed: Sessions whose holders are there, by their epochs.
    """
    taken: dict[str, int] = {}

    async def enough() -> bool:
        assert not await stores[0].renew(renewed or {})
        for given in await asyncio.gather(*(store.expired() for store in stores)):
            assert not taken.keys() & given.keys()
            taken.update(given)
        return len(taken) >= count

    await until(enough, every_s=0.05)
    assert len(taken) == count
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
