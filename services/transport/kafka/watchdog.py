"""Ends a process whose consumer has stopped without a word, which Faust's are known to do."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

from services.core import metrics
from services.core.errors import Unavailable
from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.inbox import Inbox, Standing
from services.transport.kafka.reader import Reader

_LOOKS = 6  # in the time after which a consumer counts as hanging
_ENDS_WITHIN_S = 5.0

log = logging.getLogger(__name__)


class ConsumerHangs(Exception):
    """Messages wait, and nothing is done about them; only a new process helps."""


class Watchdog:
    """Looks at intervals what waits on the broker, and what has become of it here."""

    def __init__(self, config: KafkaConfig, inboxes: Sequence[Inbox[Any]], reader: Reader) -> None:
        self._config = config
        self._inboxes = inboxes
        self._reader = reader
        # Where a partition stood, and how often in a row it was found there with more waiting.
        self._seen: dict[tuple[str, int], tuple[int, int]] = {}
        # When a service last took a message, or had none to take.
        self._took: dict[str, tuple[dict[int, int], float]] = {}

    async def run(self) -> None:
        """Watch until ConsumerHangs."""
        while True:
            await asyncio.sleep(self._config.kafka_stall_s / _LOOKS)
            tps = [
                (inbox.name, partition) for inbox in self._inboxes for partition in inbox.assigned
            ]
            try:
                async with asyncio.timeout(_ENDS_WITHIN_S):
                    ends = await self._reader.ends(tps) if tps else {}
            except (Unavailable, TimeoutError):  # without a broker nobody can do anything
                self._seen.clear()
                continue
            for inbox in self._inboxes:
                self._look(inbox, ends)

    def _look(self, inbox: Inbox[Any], ends: dict[tuple[str, int], int]) -> None:
        standing = inbox.standing()
        _tell(inbox, standing, ends)
        if standing.held_s > self._config.kafka_held_s:
            self._end(f"a message of {inbox.name} has been in work for {standing.held_s:.0f} s")
        taken, since_s = self._took.get(inbox.name, (None, 0.0))  # at the first look, none before
        if taken != standing.taken or not standing.queued:
            self._took[inbox.name] = (standing.taken, time.monotonic())
        elif time.monotonic() - since_s > self._config.kafka_held_s:
            self._end(f"none of {standing.queued} fetched messages of {inbox.name} is taken")
        for partition in inbox.assigned:
            self._look_at(inbox.name, partition, standing, ends)

    def _look_at(
        self, name: str, partition: int, standing: Standing, ends: dict[tuple[str, int], int]
    ) -> None:
        """A consumer hangs where messages wait on the broker and none is fetched.

        While fetched ones wait to be taken, the service is behind, and fetching may pause.
        """
        tp = (name, partition)
        end = ends.get(tp)
        if end is None:
            return
        seen_at, times = self._seen.get(tp, (-1, 0))
        # Of a partition that gave nothing yet, what came since the first look is known to wait.
        taken = standing.taken.get(partition, seen_at if tp in self._seen else end)
        waits = taken < end and not standing.queued
        times = times + 1 if waits and taken == seen_at else 0
        self._seen[tp] = (taken, times)
        if times >= _LOOKS:
            self._end(f"{end - taken} messages wait on {name}-{partition} and none is fetched")

    def _end(self, reason: str) -> None:
        metrics.CONSUMER_STALLS.inc()
        log.critical("the Kafka consumer hangs: %s", reason)
        raise ConsumerHangs(reason)


def _tell(inbox: Inbox[Any], standing: Standing, ends: dict[tuple[str, int], int]) -> None:
    lag = sum(
        max(ends.get((inbox.name, partition), floor) - floor, 0)
        for partition, floor in standing.floors.items()
        if partition in inbox.assigned
    )
    metrics.CONSUMER_LAG.labels(inbox.topic.name).set(lag)
    metrics.UNACKNOWLEDGED_SECONDS.labels(inbox.topic.name).set(standing.held_s)
