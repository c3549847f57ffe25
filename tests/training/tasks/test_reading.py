from pathlib import Path

import numpy as np
import pytest

from tests.training.echo import Echo
from tests.training.studio import SPEECH, write_material
from training.corpora.material import Material, read_material
from training.curation.recordings import (
    Entry,
    Kind,
    Recording,
    Split,
    text_source,
    write_table,
)
from training.speech.voices import Manner
from training.synth import NotUnderstood, Speaker
from training.tasks.plan import SYNTHESISED, Studio
from training.tasks.table import named

ANIMALS = ("cat", "dog", "horse", "cow", "hen", "duck", "goose", "bee", "fox", "bear")
PROMPTS = {english for english, _ in SPEECH}


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    folder = tmp_path_factory.mktemp("material")
    texts = [f"The {one} saw the {other}." for one in ANIMALS for other in ANIMALS]
    read = (Recording(Path(), text, text_source(text), "CC0-1.0") for text in texts)
    table = folder / "sentences.csv"
    write_table(table, (Entry(each, Kind.SENTENCE, language="en") for each in read))
    return read_material([write_material(folder), table], Split.TRAIN)


@pytest.mark.parametrize("name", ["asr-clean", "asr-noisy", "asr-telephone", "asr-long"])
def test_recorded_prompts_and_sentences_read_aloud_are_both_written_down(
    material: Material, name: str
) -> None:
    studio = Studio(material, Echo().booth())
    [task] = named([name])
    plans = [task.plan(studio, np.random.default_rng(seed)) for seed in range(12)]
    parts = [part for plan in plans for part in plan.foreground]
    for part in parts:
        assert " ".join(cue.answer.text for cue in part.cues) == part.recording.label
        is_read = part.recording.label not in PROMPTS
        assert part.recording.licence == (f"CC0-1.0, {SYNTHESISED} by echo" if is_read else "CC0")
    recorded = sum(part.recording.label in PROMPTS for part in parts)
    assert 0 < recorded < len(parts) / 2


def test_a_sentence_that_is_not_understood_is_left_for_the_next(material: Material) -> None:
    echo = Echo(mumbles=2)
    studio = Studio(material, echo.booth())
    speaker = Speaker(echo, Manner())
    part = studio.read_aloud(speaker, material.sentences[:4], np.random.default_rng(0))
    assert part.recording.label == material.sentences[2].label
    assert studio.booth.tally == {"not understood": 2, "understood": 1}
    mumbling = Studio(material, Echo(mumbles=99).booth())
    with pytest.raises(NotUnderstood, match="none of 4 sentences"):
        mumbling.read_aloud(
            Speaker(mumbling.booth.voices[0], Manner()),
            material.sentences[:4],
            np.random.default_rng(0),
        )


def test_of_sentences_that_are_not_checked_the_first_is_taken(material: Material) -> None:
    echo = Echo(mumbles=99)
    studio = Studio(material, echo.booth(), checked_share=0.0)
    part = studio.read_aloud(
        Speaker(echo, Manner()), material.sentences[:4], np.random.default_rng(0)
    )
    assert part.recording.label == material.sentences[0].label
    assert studio.booth.tally == {"not checked": 1}
