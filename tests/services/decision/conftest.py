"""The decision service that most tests here want."""

from collections.abc import AsyncIterator

import pytest

from tests.services.decision.rig import Rig, running


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """The service, running."""
    async with running() as rig:
        yield rig
