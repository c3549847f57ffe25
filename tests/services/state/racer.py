"""Open and close sessions as fast as can be, against another such process: URL PREFIX NAME.

It prints as JSON how often it was let in, how often not, and the most sessions it ever saw open.
"""

import asyncio
import dataclasses
import json
import sys

from pydantic import SecretStr
from redis.asyncio import Redis

from services.core.errors import Overloaded
from services.state.port import SessionRecord
from services.state.redis import RedisConfig, RedisSessionStore
from soundflow.interaction import SessionSpec

RACERS = 2
TASKS = 2  # of each: only together they can fill the platform
CAPACITY = 3
ROUNDS = 300


async def race(url: str, prefix: str, name: str) -> None:
    config = RedisConfig(redis_url=SecretStr(url), redis_prefix=prefix, capacity=CAPACITY)
    store, inside = RedisSessionStore(config), f"{prefix}:inside"
    admitted, refused, most = 0, 0, 0
    async with Redis.from_url(url) as redis:

        async def one(task: int) -> None:
            nonlocal admitted, refused, most
            for round_ in range(ROUNDS):
                session_id = f"{name}-{task}-{round_}"
                try:
                    await store.create(SessionRecord(session_id, SessionSpec(), 0))
                except Overloaded:
                    refused += 1
                    continue
                admitted += 1
                most = max(most, await redis.incr(inside))
                await redis.decr(inside)
                await store.update(
                    session_id, lambda record: dataclasses.replace(record, closed="complete")
                )

        if await redis.incr(f"{prefix}:here") == RACERS:
            await redis.rpush(f"{prefix}:go", *range(RACERS))
        await redis.blpop([f"{prefix}:go"])
        await asyncio.gather(*(one(task) for task in range(TASKS)))
    await store.close()
    print(json.dumps({"admitted": admitted, "refused": refused, "most": most}))


if __name__ == "__main__":
    asyncio.run(race(*sys.argv[1:4]))
