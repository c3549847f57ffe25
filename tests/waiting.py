"""Wait for what another task or thread does, with a deadline."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

DEADLINE_S = 30.0  # a machine may be busy with other things; nothing waits for it in vain


async def until(
    condition: Callable[[], bool | Awaitable[bool]],
    *,
    within_s: float = DEADLINE_S,
    every_s: float = 0.01,
) -> None:
    """Return once the condition holds; TimeoutError names it where it never does."""
    try:
        async with asyncio.timeout(within_s):
            while not await _now(condition):  # noqa: ASYNC110 - not all that is awaited has an event
                await asyncio.sleep(every_s)
    except TimeoutError:
        name = getattr(condition, "__qualname__", repr(condition))
        raise TimeoutError(f"still not so after {within_s} s: {name}") from None


async def _now(condition: Callable[[], bool | Awaitable[bool]]) -> bool:
    holds = condition()
    return await holds if inspect.isawaitable(holds) else holds
