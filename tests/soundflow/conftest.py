"""An engine around a decoder that does what the test tells it."""

from collections.abc import AsyncIterator

import pytest

from tests.soundflow.scripted import Bench, running


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """The engine, running."""
    async with running() as bench:
        yield bench
