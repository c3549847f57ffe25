"""One call with recorded speech, followed through every topic from its samples to its text."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import cycle, pairwise
from typing import Any

import numpy as np
import pytest

from services.core.events import to_json
from services.core.messages import (
    Closed,
    Opened,
)
from soundflow.audio import CHUNK_MS, CHUNK_SAMPLES, SAMPLE_RATE_HZ
from soundflow.interaction import Action, Kind
from soundflow.models import Model
from tests.end_to_end.clustered import Served
from tests.end_to_end.platform import Event, Stream, running
from tests.end_to_end.recordings import PROMPTS, joined, prompt, words_of
from tests.end_to_end.watched import Watched
from tests.waiting import until

pytestmark = pytest.mark.models

SPOKEN = ["agent-pass", "conf-invalid", "conf-waitforleader"]
PAUSE_S = 1.2
# How many chunks arrive at once, in turn: now and then a caller's network stalls.
BURSTS_CHUNKS = (1, 2, 1, 1, 4, 1, 3)


@dataclass(frozen=True)
class Called:
    """A call that is over: its samples, what the caller was told, and what was seen on the way."""

    samples: np.ndarray[Any, np.dtype[np.int16]]
    stream: Stream
    watched: Watched

    @property
    def chunks(self) -> int:
        return -(-len(self.samples) // CHUNK_SAMPLES)

    @property
    def texts(self) -> list[Event]:
        return self.stream.of("response.text")

    def final_text(self, turn: int) -> str:
        mine = [text for text in self.texts if text["turn"] == turn and text["final"]]
        return "".join(text["text"] for text in sorted(mine, key=lambda text: text["sequence"]))


@pytest.fixture
async def called(cascade: Model | Served) -> AsyncIterator[Called]:
    """Call with three prompts, burst by burst, each once the one before is decided on."""
    pcm = joined(*(part for name in SPOKEN for part in (prompt(name), PAUSE_S)))
    samples = (pcm * 32767).astype(np.int16)
    # A busy machine may take its time; that must not be taken for a silent sender.
    async with (
        running(cascade, quiet_after_ms=10**6) as served,
        served.inside.watching() as watched,
        served.stream(instruction="transcribe what is said") as stream,
    ):
        await stream.until("session.opened")
        await send(stream, samples)
        await stream.rest()
        await until(watched.whole)
        yield Called(samples, stream, watched)


async def send(stream: Stream, samples: np.ndarray[Any, np.dtype[np.int16]]) -> None:
    bursts, sent = cycle(BURSTS_CHUNKS), 0
    while (sent + 1) * CHUNK_SAMPLES < len(samples):
        chunks = min(next(bursts), len(samples) // CHUNK_SAMPLES - sent)
        burst = samples[sent * CHUNK_SAMPLES : (sent + chunks) * CHUNK_SAMPLES]
        await stream.send(burst.astype("<i2").tobytes())
        sent += chunks
        await stream.until("decision", chunk=sent - 1)
    await stream.send(samples[sent * CHUNK_SAMPLES :].astype("<i2").tobytes())
    await stream.send({"type": "audio.end"})


async def test_the_life_of_a_chunk(called: Called) -> None:
    watched = called.watched

    # Samples to chunks, chunks to features: each once, in order, and unchanged.
    assert [m.chunk.index for m in watched.audio] == list(range(called.chunks))
    sent = np.zeros(called.chunks * CHUNK_SAMPLES, np.float32)
    sent[: len(called.samples)] = called.samples / np.float32(1 << 15)
    heard = np.concatenate([m.chunk.pcm for m in watched.audio])
    np.testing.assert_array_equal(heard, sent)
    assert [m.features.index for m in watched.features] == list(range(called.chunks))
    assert [m.features.last for m in watched.features] == [m.chunk.last for m in watched.audio]
    assert [m.chunk.last for m in watched.audio][-2:] == [False, True]

    # Features to decisions: one covers each chunk, the last one all.
    newest = [m.decision.index for m in watched.decisions]
    assert newest == sorted(set(newest))
    assert newest[-1] == called.chunks - 1
    assert [m.last for m in watched.decisions] == [i == newest[-1] for i in newest]
    assert all(m.dropped is None for m in watched.decisions)

    # The times that they carry: captured before decided, and in the order of the audio.
    captured_us = [m.captured_unix_us for m in watched.audio]
    assert captured_us == sorted(captured_us)
    assert [m.captured_unix_us for m in watched.features] == captured_us
    for message in watched.decisions:
        assert message.captured_unix_us == captured_us[message.decision.index]
        assert message.captured_unix_us <= message.decided_unix_us

    # Around it: the session was opened first and closed last, and all bear its name.
    opened, *_, closed = [message.change for message in watched.sessions]
    assert isinstance(opened, Opened)
    assert closed == Closed("complete", caller_told=True)
    session_ids = {m.session_id for topic in vars(watched).values() for m in topic}
    assert session_ids == {called.stream.events[0]["session_id"]}

    # What the caller was told is what was recorded.
    recorded = [json.loads(json.dumps(to_json(told))) for told in watched.responses]
    assert called.stream.events[1:] == recorded


async def test_the_prompts_are_written_down_as_they_are_published(called: Called) -> None:
    started = called.stream.of("response.started")
    assert {event["kind"] for event in started} == {Kind.TRANSCRIPT}
    assert [words_of(called.final_text(event["turn"])) for event in started] == [
        words_of(PROMPTS[name]) for name in SPOKEN
    ]
    assert {event["reason"] for event in called.stream.of("response.ended")} == {"complete"}


async def test_words_appear_before_they_are_final_and_final_ones_stay(called: Called) -> None:
    settled: set[tuple[int, int]] = set()
    for text in called.texts:
        place = text["turn"], text["sequence"]
        assert place not in settled
        if text["final"]:
            settled.add(place)
    assert {text["turn"] for text in called.texts if not text["final"]} == {1, 2, 3}


async def test_words_lie_in_the_prompt_that_they_were_said_in(called: Called) -> None:
    begins_ms = 0
    for turn, name in enumerate(SPOKEN, start=1):
        words = [
            word
            for text in called.texts
            if text["turn"] == turn and text["final"]
            for word in text["words"]
        ]
        assert words_of(" ".join(word["text"] for word in words)) == words_of(PROMPTS[name])
        ends_ms = begins_ms + len(prompt(name)) * 1000 // SAMPLE_RATE_HZ
        assert max(0, begins_ms - CHUNK_MS) <= words[0]["start_ms"]
        assert words[-1]["end_ms"] <= ends_ms + CHUNK_MS
        for before, after in pairwise(words):
            assert before["start_ms"] <= before["end_ms"] <= after["start_ms"]
        begins_ms = ends_ms + round(PAUSE_S * 1000)


async def test_a_turn_begins_with_a_decision_that_says_so(called: Called) -> None:
    decisions = {m.decision.index: m.decision for m in called.watched.decisions}
    for event in called.stream.of("response.started"):
        named = decisions[event["chunk"]]
        assert named.action is Action.RESPOND
        assert event["turn"] in [start.turn for start in named.turns]
    silent = [d for d in decisions.values() if d.action is Action.SILENT]
    assert all(not decision.turns for decision in silent)
