"""A tiny small model, and made-up streams of sound for it."""

from pathlib import Path

import numpy as np
import soundfile
import torch

from soundflow.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from soundflow.cascade.policy import POLICY
from soundflow.checkpoint.folder import TOKENIZER
from soundflow.unified.config import DecoderConfig
from soundflow.unified.small_tower import SmallTower, SmallTowerConfig
from soundflow.unified.transformer import LanguageModel
from training.composition.rows import SILENT, Clip, Row, Turn, write_rows
from training.learning.network import Network
from training.learning.saving import write_network
from training.small import alphabet

TOWER = SmallTowerConfig(
    width=16,
    layers=2,
    heads=2,
    ffn=32,
    tagger_channels=2,
    adapter_width=12,
    adapter_ffn=24,
    projection=16,
    output_width=12,
)
DECODER = DecoderConfig(
    layers=1,
    width=12,
    heads=2,
    kv_heads=2,
    head_width=6,
    ffn=16,
    vocabulary=alphabet.vocabulary(),
    max_positions=2048,
)
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
