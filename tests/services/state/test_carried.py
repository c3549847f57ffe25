"""What every keeper of carried states promises (services/state/carried.py)."""

from collections.abc import AsyncIterator

import pytest

from services.core import wire
from services.state.carried import Carried, CarriedStates, MemoryCarriedStates
from tests.services.transport.kafka.cluster import fresh_config
from tests.waiting import until


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def states(request: pytest.FixtureRequest) -> AsyncIterator[CarriedStates]:
    if request.param == "memory":
        yield MemoryCarriedStates()
        return
    from services.transport.kafka import KafkaTransport

    config = fresh_config(request.getfixturevalue("kafka").brokers)
    transport = KafkaTransport(config, "perception", [wire.AUDIO], carries=True)
    async with transport.running():
        await until(lambda: bool(transport.inbox(wire.AUDIO, "perception").assigned))
        yield transport.carried_states()


async def test_nothing_is_carried_before_the_first_chunk(states: CarriedStates) -> None:
    assert states.get("s") is None


async def test_the_newest_state_of_each_session_is_kept(states: CarriedStates) -> None:
    states.put("s", Carried(b"first", 1))
    states.put("t", Carried(bytes(range(256)), 7))
    states.put("s", Carried(b"second", 2))
    assert states.get("s") == Carried(b"second", 2)
    assert states.get("t") == Carried(bytes(range(256)), 7)
    assert sorted(states.sessions()) == ["s", "t"]


async def test_a_session_that_is_dropped_is_forgotten_alone(states: CarriedStates) -> None:
    states.put("s", Carried(b"state", 1))
    states.put("t", Carried(b"state", 1))
    states.drop("s")
    states.drop("nobody")
    assert states.get("s") is None
    assert states.get("t") == Carried(b"state", 1)


async def test_a_dropped_session_may_come_again(states: CarriedStates) -> None:
    states.put("s", Carried(b"old", 9))
    states.drop("s")
    states.put("s", Carried(b"new", 1))
    assert states.get("s") == Carried(b"new", 1)
