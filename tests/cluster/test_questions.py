"""Dashboard and alert rules against a real Prometheus that scrapes a running platform.

Here it is the platform in one process, with what that measures.
"""

import asyncio
from contextlib import suppress
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from bench.load import drive
from bench.platform import running_platform
from stack.prometheus import PrometheusServer
from tests.cluster.questions import absent, failing_rules, silent
from tests.helm.watched import RULES
from tests.waiting import until

SPEECH_S = 5
# What only Kafka, Redis, Triton, a caller who resumes or a fault make appear.
BEYOND_ONE_PROCESS = (
    "nv_",
    "soundflow_consumer_",
    "soundflow_dead_letters_",
    "soundflow_decoder_",
    "soundflow_inference_",
    "soundflow_messages_",
    "soundflow_redis_",
    "soundflow_request_errors_",
    "soundflow_retries_",
    "soundflow_send_",
)


def unseen(prometheus: PrometheusServer) -> set[str]:
    """Return what one process measures too and Prometheus does not know."""
    return {name for name in absent(prometheus) if not name.startswith(BEYOND_ONE_PROCESS)}


@pytest.mark.prometheus
async def test_every_question_is_answered(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-9000, 9000, SPEECH_S * 16_000, dtype=np.int16)
    with running_platform("--model", "null", "--max-sessions", "2") as platform:
        address = platform.url.removeprefix("http://")
        with PrometheusServer(tmp_path, {"embedded": [address]}, RULES) as prometheus:
            calls = [drive(platform.url, noise, {"abilities": ["transcribe"]}) for _ in range(3)]
            ended = await asyncio.gather(*calls, return_exceptions=True)
            assert sum(isinstance(call, aiohttp.ClientError) for call in ended) == 1  # too many
            await until(lambda: bool(prometheus.query("soundflow_sessions_closed_total")))
            await until(lambda: not failing_rules(prometheus))
            with suppress(TimeoutError):
                await until(lambda: not unseen(prometheus))
            assert unseen(prometheus) == set()
            with suppress(TimeoutError):  # a rate takes two scrapes, a recorded one a third
                await until(lambda: not silent(prometheus))
            assert silent(prometheus) == []
