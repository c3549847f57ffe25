"""Dashboard and alert rules against the Prometheus of the whole platform, every part real.

What is only counted when something goes wrong goes wrong here, while calls go on.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import aiohttp
import numpy as np

from bench.caller import Call, call
from services.core.wire import AUDIO
from services.ingestion.config import IngestionConfig
from soundflow.audio import CHUNK_SAMPLES
from tests.cluster.log import log_of
from tests.cluster.platform import CLUSTER, Cluster
from tests.cluster.poison import NO_MESSAGE
from tests.cluster.questions import absent, failing_rules, silent
from tests.waiting import until

pytestmark = CLUSTER

# What this trouble does not make appear, and what would.
BEYOND: Mapping[str, str] = {
    "soundflow_decoder_events_total": "a unified model's decoder: the null model's has no events",
    "soundflow_send_errors_total": "no broker for longer than messages wait, which is a minute",
}
Open = tuple[list[str], list[str], list[str]]

CALLS = 4
LONG, SHORT = 120, 3  # chunks
# Longer than a decoder may be silent, and than a command to Redis may take; shorter than a lease.
FROZEN_S = 5.0
ANSWERED_WITHIN_S = 60.0


async def test_every_question_is_answered(cluster: Cluster) -> None:
    async with calls(cluster, LONG) as held:
        await until(lambda: all(one.decided_at for one in held))
        async with calls(cluster, SHORT) as begun:  # services will ask for their records
            await until(lambda: all(one.session_id for one in begun))
            await freeze(cluster, "redis")
        await freeze(cluster, "decoder")
        await kill(cluster, "encoder")
        await overfill(cluster)
        await send_nonsense(cluster)
        # A rate takes two scrapes, a recorded one a third.
        assert await still_open(cluster) == ([], [], [])
    assert [one.closed for one in held + begun] == ["complete"] * 2 * CALLS


async def still_open(cluster: Cluster) -> Open:
    """Return what is open once nothing is any more, or at last."""
    last: list[Open] = []

    async def answered() -> bool:
        last[:] = [await asyncio.to_thread(open_questions, cluster)]  # calls go on meanwhile
        return not any(last[0])

    with suppress(TimeoutError):
        await until(answered, within_s=ANSWERED_WITHIN_S)
    return last[0]


def open_questions(cluster: Cluster) -> Open:
    """Return rules that fail, series that are not there, and questions without an answer.

    In this order: what has just come may still be without its rate.
    """
    prometheus = cluster.platform.parts.prometheus
    return failing_rules(prometheus), sorted(absent(prometheus) - BEYOND.keys()), silent(prometheus)


@asynccontextmanager
async def calls(cluster: Cluster, chunks: int) -> AsyncIterator[list[Call]]:
    """Hold calls to their end."""
    noise = np.random.default_rng(0).integers(-900, 900, chunks * CHUNK_SAMPLES, dtype=np.int16)
    held = [Call() for _ in range(CALLS)]
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        for one in held:
            group.create_task(call(http, cluster.urls, noise, {}, report=one))
        yield held


async def freeze(cluster: Cluster, kind: str) -> None:
    """Have the first part of a kind do nothing for a while, and answer nobody."""
    process_group = os.getpgid(cluster.processes()[cluster.platform.settings.names(kind)[0]])
    os.killpg(process_group, signal.SIGSTOP)
    try:
        await asyncio.sleep(FROZEN_S)
    finally:
        os.killpg(process_group, signal.SIGCONT)


async def kill(cluster: Cluster, kind: str) -> None:
    """End the first part of a kind, and wait until it is there again."""
    cluster.kill(kind)

    async def well() -> bool:
        return not await asyncio.to_thread(cluster.ill)

    await until(well)


async def overfill(cluster: Cluster) -> None:
    """Open sessions at one replica until one is refused; then end them."""
    places = IngestionConfig.model_fields["max_sessions"].default
    url = f"{cluster.urls[0]}/v1/stream"
    async with aiohttp.ClientSession() as http, AsyncExitStack() as sockets:
        with suppress(aiohttp.WSServerHandshakeError):
            for _ in range(places + 1):
                socket = await sockets.enter_async_context(http.ws_connect(url))
                await socket.send_json({"type": "session.open"})
                await socket.receive_json()
    assert cluster.counted("soundflow_sessions_refused_total", reason="overloaded")


async def send_nonsense(cluster: Cluster) -> None:
    """Send what is no request as a caller, and what is no message as a service."""
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{cluster.urls[1]}/v1/stream") as socket,
    ):
        await socket.send_str("nonsense")
        await socket.receive()
    with log_of(cluster) as log:
        assert log.send(AUDIO.name, "s-never-opened", NO_MESSAGE)
    assert cluster.counted("soundflow_request_errors_total")
