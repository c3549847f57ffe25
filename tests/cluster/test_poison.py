"""Poisoned messages on every topic of the running platform: counted, and nobody else's harm."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import numpy as np
import pytest

from bench.caller import Call, call
from services.core.generated.soundflow.v1 import stream_pb2 as pb
from services.core.wire import (
    AUDIO,
    CARRIED,
    DEAD_LETTERS,
    DECISIONS,
    FEATURES,
    RESPONSES,
    SESSIONS,
    TOPICS,
)
from soundflow.audio import CHUNK_SAMPLES
from tests.cluster.log import Log, log_of
from tests.cluster.platform import CLUSTER, Cluster
from tests.cluster.poison import NO_MESSAGE, TOO_LARGE, Poison, poison
from tests.waiting import until

pytestmark = CLUSTER

CHUNKS = 20
HEARD_FIRST = 5  # chunks, so that calls are in full swing when the poison comes
NOBODY = "s-never-opened"
NOTICED_WITHIN_S = 30.0

# How many services follow each topic. What others know only by reading it when they take over,
# they are made to read: by killing who read it before.
FOLLOWERS = {AUDIO.name: 1, FEATURES.name: 1, DECISIONS.name: 1, SESSIONS.name: 3}
TAKE_OVER_FROM = {CARRIED.name: "perception", RESPONSES.name: "ingestion"}


@asynccontextmanager
async def calls(cluster: Cluster) -> AsyncIterator[list[Call]]:
    """Hold two calls that must not notice anything; at the end they are complete."""
    noise = np.random.default_rng(0).integers(-900, 900, CHUNKS * CHUNK_SAMPLES, dtype=np.int16)
    held = [Call(), Call()]
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        for one in held:
            group.create_task(call(http, cluster.urls, noise, {}, report=one))
        await until(lambda: all(len(one.decided_at) >= HEARD_FIRST for one in held))
        yield held
    for one in held:
        assert (one.closed, one.errors) == ("complete", [])
        assert (one.undecided, one.unfinished, one.repeated) == (0, set(), [])
        assert max(one.decided_at) >= CHUNKS - 1
        assert one.started == set(range(1, CHUNKS // 5 + 1))


def spoil(log: Log, topic: str, victim: str) -> list[Poison]:
    """Send one of each kind into a call's partition, and again all that is there of the call."""
    # What would be taken for the call's own, and change it, bears nobody's name.
    key = NOBODY if topic == CARRIED.name else victim
    sent = list(poison(topic, key, NOBODY))
    if topic == CARRIED.name:
        sent.append(Poison("random bytes", victim, NO_MESSAGE))
    for one in sent:
        assert log.send(topic, one.key, one.value, beside=victim), one.kind
    for record in log.read(topic):
        if record.key == victim.encode() and record.value not in {one.value for one in sent}:
            assert log.send(topic, victim, record.value)
    return sent


@pytest.mark.parametrize("topic", [*(topic.name for topic in TOPICS), DEAD_LETTERS])
async def test_poison_is_counted_and_touches_no_call(cluster: Cluster, topic: str) -> None:
    processes = cluster.processes()
    counted = cluster.counted("soundflow_dead_letters_total", topic=topic)
    with log_of(cluster) as log:
        async with calls(cluster) as held:
            sent = await asyncio.to_thread(spoil, log, topic, held[0].session_id)
            if topic in TAKE_OVER_FROM:
                await asyncio.sleep(2)  # states are written once a second
                cluster.kill(TAKE_OVER_FROM[topic])
        unreadable = [one for one in sent if not one.readable]
        if followers := FOLLOWERS.get(topic, 0):
            due = counted + followers * len(unreadable)
            await until(lambda: cluster.counted("soundflow_dead_letters_total", topic=topic) >= due)
            buried = [record.value or b"" for record in log.read(DEAD_LETTERS)]
            assert all(buried.count(one.value) >= followers for one in unreadable)
    if topic not in TAKE_OVER_FROM:
        assert cluster.processes() == processes


@pytest.mark.parametrize("topic", [*(topic.name for topic in TOPICS), DEAD_LETTERS])
async def test_two_megabytes_are_refused(cluster: Cluster, topic: str) -> None:
    with log_of(cluster) as log:
        assert not log.send(topic, NOBODY, TOO_LARGE)


async def test_what_nobody_can_use_causes_nothing_that_goes_on(cluster: Cluster) -> None:
    """A session that is not there is given up by who finds out; that is not to be given up too."""
    with log_of(cluster) as log:
        for topic in FOLLOWERS:
            for one in poison(topic, NOBODY, NOBODY):
                log.send(topic, one.key, one.value)
        await asyncio.sleep(3)
        settled = len(log.read(DEAD_LETTERS))
        await asyncio.sleep(3)
        assert len(log.read(DEAD_LETTERS)) == settled


async def test_a_call_that_is_spoiled_is_told_and_its_neighbours_are_not(cluster: Cluster) -> None:
    async with calls(cluster):
        spoiled = Call()
        silence = np.zeros(CHUNKS * CHUNK_SAMPLES, np.int16)
        async with aiohttp.ClientSession() as http:
            calling = asyncio.create_task(call(http, cluster.urls, silence, {}, report=spoiled))
            await until(lambda: len(spoiled.decided_at) >= 2)
            chunk = pb.AudioChunk(
                session_id=spoiled.session_id, index=500, pcm_s16le=bytes(12_800), samples=6400
            )
            with log_of(cluster) as log:
                log.send(AUDIO.name, spoiled.session_id, chunk.SerializeToString())
            await calling
        assert spoiled.closed == "error"
        assert len(spoiled.errors) == 1
