"""When a service counts as hanging that takes nothing of what was fetched for it."""

import asyncio
from typing import Any

import pytest

from services.core import wire
from services.transport.kafka.app import new_app
from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.inbox import Event, Inbox
from services.transport.kafka.reader import Reader
from services.transport.kafka.watchdog import ConsumerHangs, Watchdog

HELD_S = 0.2


async def test_a_service_has_its_time_also_for_the_first_message() -> None:
    config = KafkaConfig(kafka_held_s=HELD_S)
    app = new_app(config, "listeners", tables=False)

    def bury(event: Event, error: Exception) -> asyncio.Task[None]:
        raise AssertionError("nothing is taken, so nothing is given up")

    inbox: Inbox[Any] = Inbox(
        app,
        wire.SESSIONS,
        config.topic("sessions"),
        bury,
        in_flight=1,
        unacknowledged=1,
        written=lambda _: None,
    )
    inbox._queue.put_nowait(b"fetched")
    watchdog = Watchdog(config, [inbox], Reader(config))
    watchdog._look(inbox, {})
    await asyncio.sleep(1.5 * HELD_S)
    with pytest.raises(ConsumerHangs, match="none of 1 fetched messages"):
        watchdog._look(inbox, {})
