"""The demo call is heard as demo/README.md promises."""

from contextlib import aclosing

import pytest

from bench.demo import INSTRUCTION
from bench.make_demo import CALL
from services.ingestion.tasks import run_task
from soundflow.cascade.policy import POLICY
from soundflow.interaction import Kind, SessionSpec
from soundflow.models import Model
from tests.end_to_end.clustered import Served
from tests.end_to_end.platform import running
from tests.end_to_end.recordings import words_of
from tests.end_to_end.turns import turns_of

pytestmark = pytest.mark.models

ADVICE = {row.name: row.advice for row in POLICY}
SAID = [
    "Your call is now first in line and will be answered by the next available representative.",
    "Please enter your phone number, starting with the area code.",
    "I'm sorry I did not understand your response.",
    "Please hold while I try to locate the person you are calling.",
    "Something is terribly wrong!",
    "Please try your call again later.",
]


async def test_the_demo_call(cascade: Model | Served) -> None:
    async with (
        running(cascade) as served,
        aclosing(run_task(served.ingestion, SessionSpec(INSTRUCTION), CALL)) as told,
    ):
        turns = turns_of([each async for each in told])
    assert [text for kind, text in turns if kind is Kind.COUNT] == ["One.", "Two.", "Three."]
    assert [text for kind, text in turns if kind is Kind.ADVICE] == [
        ADVICE["glass"],
        ADVICE["siren"],
    ]
    transcripts = [
        text.replace("you're", "you are") for kind, text in turns if kind is Kind.TRANSCRIPT
    ]
    assert [words_of(text) for text in transcripts] == [words_of(text) for text in SAID]
    assert {kind for kind, _ in turns} == {Kind.COUNT, Kind.ADVICE, Kind.TRANSCRIPT}
