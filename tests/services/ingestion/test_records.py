"""The changes that ingestion makes to a record, where others change it at the same time."""

import dataclasses
from contextlib import AsyncExitStack

import pytest

from services.ingestion.records import Closing, TakeOver
from services.state.port import SessionRecord
from services.state.redis import RedisSessionStore
from soundflow.interaction import SessionSpec
from stack.redis import RedisServer
from tests.services.state.conftest import redis_config

RECORD = SessionRecord("a", SessionSpec(), opened_unix_us=1, owner="first")


def test_who_closes_a_session_that_another_closed_first_did_not_end_it() -> None:
    closing = Closing("idle")
    closing(RECORD)  # as it was known; the store has it otherwise by now, and asks again
    closed = dataclasses.replace(RECORD, closed="client_gone")
    assert closing(closed) == closed
    assert not closing.was_open


def test_who_closes_a_session_and_is_asked_again_did_end_it() -> None:
    closing = Closing("idle")
    assert closing(closing(RECORD)).closed == "idle"
    assert closing.was_open


@pytest.mark.redis
async def test_a_session_that_changed_hands_unnoticed_is_not_ended_by_who_had_it(
    redis_server: RedisServer,
) -> None:
    async with AsyncExitStack() as opened:
        first, second = (
            RedisSessionStore(redis_config(redis_server, prefix="changed-hands")) for _ in range(2)
        )
        for store in (first, second):
            opened.push_async_callback(store.close)
        await first.create(RECORD)
        await second.update("a", TakeOver("second"))
        closing = Closing("client_gone", epoch=RECORD.epoch)
        await first.update("a", closing)
        assert not closing.was_open
        record = await second.get("a")
        assert (record.owner, record.closed) == ("second", "")
