"""Wait for what another task or thread does, with a deadline."""

import asyncio
from collections.abc import Callable

DEADLINE_S = 10.0


async def until(condition: Callable[[], bool], *, within_s: float = DEADLINE_S) -> None:
    """Return once the condition holds; TimeoutError names it where it never does."""
    try:
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110 - what is waited for has no event to offer
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise TimeoutError(f"still not so after {within_s} s: {condition.__qualname__}") from None
