"""A platform that waits for its callers to come back."""

from collections.abc import AsyncIterator

import pytest

from tests.end_to_end.platform import Running, running
from tests.end_to_end.resume.caller import PATIENT


@pytest.fixture
async def served() -> AsyncIterator[Running]:
    async with running(**PATIENT) as served:
        yield served
