"""A platform with small limits, and a call beside each test that must not notice anything."""

from collections.abc import AsyncIterator

import pytest

from tests.end_to_end.bad_input.sent import MAX_MESSAGE_BYTES
from tests.end_to_end.platform import Running, neighbour, running


@pytest.fixture
async def served() -> AsyncIterator[Running]:
    """Run the platform with small limits, and a call that must not notice anything."""
    limits = {"max_message_bytes": MAX_MESSAGE_BYTES, "max_task_bytes": 1 << 20}
    async with running(**limits) as served, neighbour(served):
        yield served
