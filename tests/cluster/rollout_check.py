"""A checkpoint reaches the running platform while calls are held: nothing lost, nothing twice.

Not among the tests that every run takes, as it holds calls for a minute: `make rollout-check`.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from bench.caller import Call, call
from services.core.generated.soundflow.v1 import stream_pb2 as pb
from services.core.wire import DECISIONS
from soundflow.checkpoint.folder import TOKENIZER
from soundflow.checkpoint.shipped import locate_shipped
from soundflow.checkpoint.start import write_start as write_small_start
from stack.parts import Parts
from stack.platform import Platform, marked
from stack.rollout import roll_out_on
from stack.settings import StackSettings
from tests.cluster.log import log_of
from tests.cluster.platform import CLUSTER, Cluster
from tests.end_to_end.recordings import PROMPTS, joined, prompt
from tests.training.tiny import write_start
from tests.waiting import until
from training.small import alphabet
from training.small.recipe import DECODER

pytestmark = CLUSTER

CALLS = 8
CHUNKS_HEARD_FIRST = 3
OLD, NEW = 1, 2
OPENING = {"abilities": ["transcribe"]}
WITHIN_US = 10_000_000  # of audio, from the first session that has changed over to the last


@pytest.fixture(params=["random", "trained"])
def checkpoints(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """The checkpoint that is served, and the one that is rolled out: of one shape."""
    if request.param == "random":
        return write_start(tmp_path / "old", seed=1), write_start(tmp_path / "new", seed=2)
    trained = locate_shipped("small", tmp_path)
    began = (tmp_path / "old", trained / TOKENIZER, alphabet.control_tokens(), DECODER)
    return write_small_start(*began), trained


@pytest.fixture
def small_cluster(checkpoints: tuple[Path, Path], tmp_path: Path) -> Iterator[Cluster]:
    """A platform of the first checkpoint: two decoders, one of all else."""
    checkpoint, _ = checkpoints
    settings = StackSettings(tmp_path / "stack", model=str(checkpoint), encoders=1)
    platform = Platform(Parts(settings.on_free_ports()))
    platform.up(print)
    yield Cluster(platform)
    platform.down()
    assert marked(settings.folder) == []


async def test_eight_calls_change_over_to_a_new_checkpoint(
    small_cluster: Cluster, checkpoints: tuple[Path, Path]
) -> None:
    _, new = checkpoints
    parts = small_cluster.platform.parts
    speech = joined(*(prompt(name) for name in PROMPTS))
    audio = (np.tile(speech, 10)[: 60 * 16_000] * 32767).astype(np.int16)
    held = [Call() for _ in range(CALLS)]
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        for one in held:
            group.create_task(call(http, small_cluster.urls, audio, OPENING, report=one))
        await until(lambda: all(len(one.decided_at) >= CHUNKS_HEARD_FIRST for one in held))
        assert await asyncio.to_thread(roll_out_on, parts, new, print) == NEW
    for one in held:
        assert (one.closed, one.errors, one.undecided, one.repeated) == ("complete", [], 0, [])
    by_session = defaultdict(list)
    with log_of(small_cluster) as log:
        for record in log.read(DECISIONS.name):
            decision = pb.Decision.FromString(record.value)
            by_session[decision.session_id].append(decision)
    assert by_session.keys() == {one.session_id for one in held}
    for decisions in by_session.values():
        assert max(Counter(one.index for one in decisions).values()) == 1
        versions = [one.model_version for one in decisions]
        assert versions == sorted(versions)
        assert set(versions) == {OLD, NEW}
    changed_at_us = [
        next(one.captured_unix_us for one in decisions if one.model_version == NEW)
        for decisions in by_session.values()
    ]
    assert max(changed_at_us) - min(changed_at_us) <= WITHIN_US
    if new.name == "small":  # what is trained writes down what it hears
        for one in held:
            begun = begun_by_new(by_session[one.session_id])
            assert any(text.strip() for (turn, _), text in one.finals.items() if turn in begun)


def begun_by_new(decisions: list[pb.Decision]) -> set[int]:
    """Return the turns that the new version began."""
    return {turn.turn for one in decisions if one.model_version == NEW for turn in one.turns}
