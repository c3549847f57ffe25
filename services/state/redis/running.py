"""The session store and what is written behind, from a process's start to its end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.state.behind import FLUSH_WITHIN_S, WriteBehind
from services.state.redis.config import RedisConfig
from services.state.redis.store import RedisSessionStore


@asynccontextmanager
async def run_store(config: RedisConfig) -> AsyncIterator[tuple[RedisSessionStore, WriteBehind]]:
    """Yield both; at the end write what waits, as far as that is quickly done."""
    store = RedisSessionStore(config)
    records = WriteBehind(store)
    try:
        yield store, records
    finally:
        await records.close(FLUSH_WITHIN_S)
        await store.close()
