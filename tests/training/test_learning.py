"""From rows to a checkpoint to a live session: what was taught is said, and when it was taught."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch

from soundflow.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from soundflow.checkpoint.folder import open_checkpoint
from soundflow.interaction import SessionSpec
from soundflow.models import load_model
from tests.training.tiny import write_start
from training.composition.rows import SILENT, Row, Turn, write_rows
from training.data import hear, open_sources
from training.evaluation.subject import ModelSubject
from training.learning.loop import Keeping, train
from training.learning.plan import Plan
from training.learning.processes import Processes
from training.stages import SCRATCH

TRAINED, UNHEARD = 48, 8
# What is said to noise, to a low tone and to a high one.
SAID = {0: SILENT, 300: "hello", 2500: "world"}


def sound(path: Path, tone_hz: int, rng: np.random.Generator) -> str:
    times = np.arange(CHUNK_SAMPLES) / SAMPLE_RATE_HZ
    tone = 0.4 * np.sin(2 * np.pi * tone_hz * times)
    soundfile.write(path, tone + rng.normal(0, 0.003, CHUNK_SAMPLES), SAMPLE_RATE_HZ)
    return path.name


def stream(number: int, folder: Path) -> Row:
    rng = np.random.default_rng(number)
    turns = []
    for place in range(int(rng.integers(6, 12))):
        tone_hz = int(rng.choice([0, 0, 0, 300, 2500]))
        path = sound(folder / f"{number}-{place}.flac", tone_hz, rng)
        turns.append(Turn(audio_path=path, assistant=SAID[tone_hz]))
    return Row(id=str(number), turns=tuple(turns), timed=True, system="Listen.")


def test_a_live_session_says_what_was_taught_at_the_chunk_it_was_taught(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    rows = [stream(number, tmp_path) for number in range(TRAINED + UNHEARD)]
    write_rows(tmp_path / "base.jsonl", rows)
    start = write_start(tmp_path / "start")
    checkpoint = open_checkpoint(start)
    sources = open_sources(tmp_path, checkpoint.control, checkpoint.read_tokenizer())
    plan = Plan(
        stage=replace(SCRATCH, learning_rate=5e-3),
        start=start,
        steps=140,
        batch=8,
        piece=8,
        bf16=False,
    )
    examples = [sources["base"][number] for number in range(TRAINED)]
    alone = Processes(0, 1, torch.device("cpu"))
    train(plan, {"base": examples}, Keeping(folder=tmp_path / "run"), alone)

    trained = tmp_path / "run" / "checkpoints" / "step-00000140"
    subject = ModelSubject(load_model(str(trained)))
    for row in rows[TRAINED:]:
        taught = hear(row, tmp_path, np.random.default_rng(0))
        heard = subject.hear(taught.pcm_S, SessionSpec(instruction="Listen."))
        said = [(turn.chunk, turn.text, turn.emotion) for turn in heard.turns]
        answers = [(one.chunk, one.answer) for one in taught.timeline.responses]
        assert said == [(chunk, answer.text, answer.emotion) for chunk, answer in answers]
    subject.close()
