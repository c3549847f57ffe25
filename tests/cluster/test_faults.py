"""Parts that end in the middle of calls: callers lose nothing, and are told nothing twice."""

from functools import partial

import numpy as np
import pytest

from bench.faults import ASKED, VICTIMS, end_part, play
from tests.cluster.platform import CLUSTER, Cluster
from tests.end_to_end.recordings import PROMPTS, joined, prompt

pytestmark = CLUSTER

CALLS = 4
SECONDS_BEFORE = 3.0


@pytest.mark.parametrize("victim", [*VICTIMS, *ASKED])
async def test_calls_outlive_any_part(cluster: Cluster, victim: str) -> None:
    speech = joined(*(prompt(name) for name in PROMPTS))[: 9 * 16_000]
    audio = [(speech * 32767).astype(np.int16)] * CALLS
    strike = partial(end_part, cluster.platform, victim)
    outcome = await play(cluster.urls, audio, victim, strike, after_s=SECONDS_BEFORE)
    assert outcome.failed == 0
    for one in outcome.calls:
        assert (one.closed, one.errors) == ("complete", [])
        assert one.undecided == 0
        assert one.unfinished == set()
        assert one.repeated == []
        assert one.started  # the model spoke
