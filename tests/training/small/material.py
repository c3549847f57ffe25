"""A tiny small model, and made-up streams of sound for it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch

from soundflow.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from soundflow.cascade.policy import POLICY
from soundflow.checkpoint.folder import TOKENIZER
from soundflow.unified.small_tower import SmallTower
from soundflow.unified.transformer import LanguageModel
from tests.soundflow.unified import small
from training.composition.rows import SILENT, Clip, Row, Turn, write_rows
from training.learning.network import Network
from training.learning.saving import write_network
from training.small import alphabet

TOWER = replace(small.TINY, letters=1 + len(alphabet.LETTERS))
DECODER = replace(small.DECODER, vocabulary=alphabet.vocabulary())
WORDS = ("hello", "world", "the quick brown fox", "it's raining", "over lazy dogs", "jump again")
SPEECH, HELP = "real-time ASR", "proactive response"


def write_start(folder: Path) -> Path:
    """Write the checkpoint to begin from."""
    torch.manual_seed(0)
    control = alphabet.control_tokens()
    network = Network(SmallTower(TOWER), LanguageModel(DECODER), control)
    folder.mkdir(parents=True)
    write_network(folder, network, network.state_dict(), control)
    alphabet.tokenizer_of([*WORDS, *(row.advice for row in POLICY)]).save(str(folder / TOKENIZER))
    return folder


def write_corpus(folder: Path, streams: int, *, first: int = 0) -> Path:
    """Write a corpus: transcripts, and warnings of noise."""
    folder.mkdir()
    numbers = range(first, first + streams)
    write_rows(folder / "base.jsonl", [_row(n, SPEECH, folder) for n in numbers])
    write_rows(folder / "proactive.jsonl", [_row(n, HELP, folder) for n in numbers[::2]])
    return folder


def _row(number: int, scene: str, folder: Path) -> Row:
    rng = np.random.default_rng([number, len(scene)])
    turns = []
    for place in range(int(rng.integers(2, 5))):
        path = f"{scene[:3]}-{number}-{place}.flac"
        samples = int(rng.integers(1, 4)) * CHUNK_SAMPLES
        soundfile.write(folder / path, rng.normal(0, 0.1, samples), SAMPLE_RATE_HZ)
        said = str(rng.choice(WORDS)) if scene == SPEECH else POLICY[place].advice
        turns.append(Turn(audio_path=path, assistant=SILENT if place == 1 else said))
    clip = Clip(label="noise", source="made up", licence="CC0")
    system = "Write it down." if scene == SPEECH else "Warn me."
    row_id = f"{scene[:3]}-{number}"
    return Row(
        id=row_id, scene_type=scene, turns=tuple(turns), timed=True, system=system, clips=(clip,)
    )
