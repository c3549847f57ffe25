"""Sessions of real audio while a real Triton server changes over to a new version of the model."""

import asyncio
import itertools
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from services.core.messages import AudioMessage, DecisionMessage, FeaturesMessage, SessionMessage
from services.decision.placement import Placement
from services.decision.service import DecisionService
from services.inference.rollout import roll_out
from services.inference.triton_encoder import TritonEncoder
from services.inference.triton_replicas import TritonDecoderPool
from services.perception.service import PerceptionService
from services.state.behind import WriteBehind
from services.state.carried import MemoryCarriedStates
from services.state.memory import MemorySessionStore
from services.state.port import SessionRecord
from services.transport.memory import MemoryTopic
from soundflow.audio import CHUNK_MS, CHUNK_SAMPLES, Chunk, Pcm
from soundflow.interaction import SessionSpec
from tests.end_to_end.recordings import PROMPTS, joined, prompt
from tests.services.inference.triton_servers import add_version, reach, versioned
from tests.waiting import until

pytestmark = pytest.mark.triton

SESSIONS = [f"session {number}" for number in range(8)]
HEARD_BEFORE, HEARD_AFTER = 5, 10  # chunks
OLD, NEW = 1, 2
FOLLOWED_WITHIN_CHUNKS = 10_000 // CHUNK_MS
WELL_WITHIN_S = 120.0  # a server's start on a busy machine


class Stage:
    """Perception and decision around a server, and what came of each session."""

    def __init__(self, encoder: TritonEncoder, pool: TritonDecoderPool) -> None:
        self.audio = MemoryTopic[AudioMessage](groups=["perception"])
        self.features = MemoryTopic[FeaturesMessage](groups=["decision", "test"], kept=10_000)
        self.decisions = MemoryTopic[DecisionMessage](groups=["test"])
        self.store = MemorySessionStore()
        self.heard: dict[str, list[FeaturesMessage]] = defaultdict(list)
        self.decided: dict[str, list[DecisionMessage]] = defaultdict(list)
        sessions = MemoryTopic[SessionMessage](groups=["perception", "decision"])
        carried = MemoryCarriedStates()
        placement = Placement(self.store, pool, self.features)
        records = WriteBehind(self.store)
        self._work = (
            PerceptionService(self.audio, sessions, self.features, encoder, carried).run(),
            DecisionService(self.features, sessions, self.decisions, records, placement).run(),
            self._note(),
            self._note_features(),
        )

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for work in self._work:
                group.create_task(work)

    async def speak(self, session_id: str, pcm: Pcm, over: asyncio.Event) -> int:
        """Send audio at its own pace until told to end; return how many chunks that were."""
        await self.store.create(SessionRecord(session_id, SessionSpec("listen"), 0))
        chunks = itertools.cycle(np.split(pcm, len(pcm) // CHUNK_SAMPLES))
        for index, samples in enumerate(chunks):
            chunk = Chunk(session_id, index, samples)
            await self.audio.send(AudioMessage(chunk, captured_unix_us=1000 + index))
            if over.is_set():
                return index + 1
            await asyncio.sleep(CHUNK_MS / 1000)
        raise AssertionError("a cycle has no end")

    async def reach(self, count: int, version: int) -> None:
        """Wait until a version has decided so often on each session."""
        await until(
            lambda: all(self._by(version, name) >= count for name in SESSIONS),
            within_s=WELL_WITHIN_S,
        )

    def _by(self, version: int, name: str) -> int:
        return sum(message.model_version == version for message in self.decided[name])

    async def _note(self) -> None:
        async for received in self.decisions.subscribe("test"):
            self.decided[received.message.session_id].append(received.message)

    async def _note_features(self) -> None:
        async for received in self.features.subscribe("test"):
            self.heard[received.message.session_id].append(received.message)


async def test_eight_sessions_follow_at_the_first_chunk_that_the_new_version_encodes(
    tmp_path: Path,
) -> None:
    speech = joined(*(prompt(name) for name in PROMPTS))
    speech = speech[: len(speech) // CHUNK_SAMPLES * CHUNK_SAMPLES]
    with versioned(tmp_path) as server:
        async with (
            TritonEncoder(reach(server)) as encoder,
            TritonDecoderPool(reach(server)) as pool,
        ):
            stage, over = Stage(encoder, pool), asyncio.Event()
            services = asyncio.create_task(stage.run())
            calls = [asyncio.create_task(stage.speak(n, speech, over)) for n in SESSIONS]
            await stage.reach(HEARD_BEFORE, OLD)
            add_version(server, NEW)
            await roll_out(reach(server), NEW, settle_s=2)
            await stage.reach(HEARD_AFTER, NEW)
            over.set()
            chunks = dict(zip(SESSIONS, await asyncio.gather(*calls), strict=True))
            await until(
                lambda: all(stage.decided[n][-1].decision.index + 1 == chunks[n] for n in SESSIONS)
            )
            services.cancel()
            await asyncio.gather(services, return_exceptions=True)
    for name in SESSIONS:
        decided = [message.decision.index for message in stage.decided[name]]
        assert decided == sorted(set(decided))
        versions = {m.decision.index: m.model_version for m in stage.decided[name]}
        encoded = {m.features.index: m.features.version for m in stage.heard[name]}
        assert list(encoded) == list(range(chunks[name]))
        assert list(versions.values()) == sorted(versions.values())
        first = min(index for index, version in encoded.items() if version == NEW)
        answered = min(index for index, version in versions.items() if version == NEW)
        assert answered - first <= FOLLOWED_WITHIN_CHUNKS
