"""Each ability on recorded audio, as a task: the same loop as a live call, through all services."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
import soundfile

from services.ingestion.tasks import run_task
from soundflow.audio import SAMPLE_RATE_HZ, Pcm
from soundflow.cascade.policy import POLICY
from soundflow.interaction import Ability, Kind, SessionSpec
from soundflow.models import Model
from tests.end_to_end.clustered import Served
from tests.end_to_end.platform import running
from tests.end_to_end.recordings import PROMPTS, joined, prompt, recording, words_of
from tests.end_to_end.turns import Turns, turns_of

pytestmark = pytest.mark.models

ADVICE = {row.name: row.advice for row in POLICY}
BARK, GLASS = recording("sounds/bark.flac"), recording("sounds/glass.flac")
MUSIC = recording("sounds/hold_music.ogg")

Task = Callable[..., Awaitable[Turns]]


@pytest.fixture
async def task(cascade: Model | Served, tmp_path: Path) -> AsyncIterator[Task]:
    """Do a task with a recording; return the kind and the final text of each of its turns."""
    async with running(cascade) as served:

        async def do(
            pcm: Pcm, instruction: str = "", *abilities: Ability, language: str = ""
        ) -> Turns:
            path = tmp_path / "call.wav"
            soundfile.write(path, pcm, SAMPLE_RATE_HZ)
            spec = SessionSpec(instruction, frozenset(abilities), source_language=language)
            async with aclosing(run_task(served.ingestion, spec, path)) as told:
                return turns_of([each async for each in told])

        yield do


async def test_transcribe(task: Task) -> None:
    [(kind, text)] = await task(prompt("conf-onlyperson"), "transcribe")
    assert kind is Kind.TRANSCRIPT
    assert words_of(text) == words_of(PROMPTS["conf-onlyperson"])


@pytest.mark.parametrize("language", ["es", ""])
async def test_translate(task: Task, language: str) -> None:
    """“La conferencia comenzará cuando llegue el líder.” Small models find their own words."""
    spanish = recording("spanish/conf-waitforleader.flac")
    [(kind, text)] = await task(spanish, "", Ability.TRANSLATE, language=language)
    assert kind is Kind.TRANSLATION
    said = set(words_of(text))
    assert {"the", "conference", "when"} <= said
    assert said & {"leader", "leaders"}
    assert said & {"begin", "start"}


async def test_describe(task: Task) -> None:
    turns = await task(joined(1.0, BARK, 3.0), "", Ability.DESCRIBE)
    assert turns == [(Kind.DESCRIPTION, "A dog barking.")]


@pytest.mark.parametrize("barks", [1, 3])
async def test_count(task: Task, barks: int) -> None:
    pcm = joined(1.0, *[part for _ in range(barks) for part in (BARK, 1.0)], 1.0)
    turns = await task(pcm, "count the dog barks")
    assert turns == [(Kind.COUNT, each) for each in ("One.", "Two.", "Three.")[:barks]]


async def test_count_nothing_else(task: Task) -> None:
    assert await task(joined(prompt("agent-pass"), 1.0, MUSIC), "count the dog barks") == []


async def test_warn(task: Task) -> None:
    turns = await task(joined(2.0, GLASS, 3.0), "", Ability.PROACTIVE)
    assert turns == [(Kind.ADVICE, ADVICE["glass"])]


async def test_warn_of_nothing_ordinary(task: Task) -> None:
    pcm = joined(prompt("agent-pass"), 1.0, BARK, 1.0, MUSIC)
    assert await task(pcm, "", Ability.PROACTIVE) == []


async def test_warn_again_of_the_same_danger_later(task: Task) -> None:
    turns = await task(joined(2.0, GLASS, 6.0, GLASS, 2.0), "", Ability.PROACTIVE)
    assert turns == [(Kind.ADVICE, ADVICE["glass"])] * 2


async def test_answer_a_spoken_question_once(task: Task) -> None:
    turns = await task(joined(prompt("vm-savefolder"), 3.0), "", Ability.CHAT)
    [(kind, text)] = turns
    assert kind is Kind.ANSWER
    assert text.strip()


async def test_transcribe_and_warn_in_one_session(task: Task) -> None:
    pcm = joined(prompt("conf-onlyperson"), 2.0, GLASS, 3.0)
    [transcript, advice] = await task(pcm, "Transcribe what is said and warn me of danger")
    assert words_of(transcript[1]) == words_of(PROMPTS["conf-onlyperson"])
    assert advice == (Kind.ADVICE, ADVICE["glass"])


@pytest.mark.parametrize("level_db", [-60, -40, -20])
async def test_noise_is_no_text(task: Task, level_db: int) -> None:
    noise = np.random.default_rng(1).normal(0, 10 ** (level_db / 20), 8 * SAMPLE_RATE_HZ)
    assert await task(noise.astype(np.float32), "transcribe and translate") == []


async def test_hold_music_is_no_text(task: Task) -> None:
    assert await task(joined(MUSIC, 2.0), "transcribe and translate") == []
