"""A corpus of our own rows: when the model spoke, over turns, what it counted and wrote down."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from soundflow.audio import SAMPLE_RATE_HZ
from soundflow.interaction import SessionSpec
from training.composition.rows import Row, read_rows
from training.composition.timeline import Timeline
from training.data import JOINED_SCENES, files_of, hear
from training.evaluation import counting, stability, transcription, triggers
from training.evaluation.figures import Result
from training.evaluation.progress import shown
from training.evaluation.subject import Subject
from training.evaluation.words import Spoken, comparable


def evaluate(subject: Subject, folder: Path, split: str, most: int) -> list[Result]:
    """Play the rows of a split, at most so many of each file. ValueError where there are none.

    Transcripts are scored by their words; when each piece of one comes is no matter of its own.
    """
    by_scene: dict[str, list[triggers.Outcome]] = defaultdict(list)
    written: list[transcription.Transcribed] = []
    counted: list[counting.Counted] = []
    for row, seed in shown("corpus", list(_rows(folder, split, most))):
        heard_row = hear(row, folder, np.random.default_rng([0, seed]))
        timeline = heard_row.timeline
        heard = subject.hear(heard_row.pcm_S, SessionSpec(instruction=timeline.system))
        if row.scene_type in JOINED_SCENES:
            text = " ".join(response.answer.text for response in timeline.responses)
            written.append(transcription.compare_live(text, _spoken(timeline), heard))
            continue
        expected = [response.chunk for response in timeline.responses]
        spoken = [turn.chunk for turn in heard.turns]
        by_scene[row.scene_type].append(triggers.match(timeline.chunks, expected, spoken))
        if true := counting.true_count(timeline):
            counted.append(counting.Counted(true, counting.last_number(heard.text)))
    if not by_scene and not written:
        raise ValueError(f"{folder} has no streams of the split {split!r}")
    results = [*_triggers(by_scene)]
    if counted:
        results.append(counting.score("Corpus: counting", counted))
    return [*results, _written(written)] if written else results


def _triggers(by_scene: dict[str, list[triggers.Outcome]]) -> Iterator[Result]:
    every = [outcome for outcomes in by_scene.values() for outcome in outcomes]
    if not every:
        return
    yield triggers.score("Corpus: triggers", every)
    if len(by_scene) > 1:
        for scene, outcomes in sorted(by_scene.items()):
            yield triggers.score(f"Corpus: triggers, {scene or 'no scene'}", outcomes)
    yield stability.score("Corpus: stability over turns", every)


def _written(written: Sequence[transcription.Transcribed]) -> Result:
    scored = transcription.score("Corpus: live transcription", written)
    note = "a word's delay is counted from where the row says that its piece of speech has ended"
    return Result(scored.name, scored.figures, note)


def _spoken(timeline: Timeline) -> list[Spoken]:
    """Return the words of a transcript; those of one piece begin and end together."""
    spoken, before_ms = [], 0.0
    for response in timeline.responses:
        end_ms = response.evidence_samples * 1000 / SAMPLE_RATE_HZ
        spoken += [Spoken(text, before_ms, end_ms) for text in comparable(response.answer.text)]
        before_ms = end_ms
    return spoken


def _rows(folder: Path, split: str, most: int) -> Iterator[tuple[Row, int]]:
    for path in files_of(folder).values():
        streams = (
            (row, number)
            for number, row in enumerate(read_rows(path))
            if isinstance(row, Row) and row.split == split
        )
        for _, stream in zip(range(most), streams, strict=False):
            yield stream
