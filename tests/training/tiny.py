"""A tiny network and made-up streams, for tests of training."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from soundflow.audio import CHUNK_SAMPLES
from soundflow.checkpoint.folder import TOKENIZER
from soundflow.checkpoint.own import write_fields
from soundflow.unified.audio_tower import AudioTower, EncoderConfig
from soundflow.unified.config import DecoderConfig
from soundflow.unified.logmel import LogMel
from soundflow.unified.tokens import ControlTokens
from soundflow.unified.transformer import LanguageModel
from tests.soundflow.unified.byte_bpe import byte_bpe
from training.learning.batch import Collate
from training.learning.example import Example
from training.learning.network import Network
from training.learning.saving import WEIGHTS

# 300 pieces of text, then the control tokens.
NAMES = (
    *("user", "assistant", "silence", "pad", "online", "offline", "english"),
    *("happy", "sad", "angry", "surprise", "normal", "urgent"),
    *("text_end", "text_begin", "audio_pad", "audio_begin", "audio_end"),
)
FIRST_CONTROL = 300
IDS = {name: FIRST_CONTROL + place for place, name in enumerate(NAMES)}
CONTROL = ControlTokens(**IDS, system=IDS["text_begin"])
ENCODER = EncoderConfig(mels=16, width=16, layers=1, heads=2, ffn=32, output_width=24)
DECODER = DecoderConfig(
    layers=2,
    width=24,
    heads=4,
    kv_heads=2,
    head_width=6,
    ffn=32,
    vocabulary=320,
    max_positions=2048,
)


def network(seed: int = 0) -> Network:
    """Return a network with random weights, the same for the same seed."""
    torch.manual_seed(seed)
    return Network(AudioTower(ENCODER), LanguageModel(DECODER), CONTROL)


def write_start(folder: Path, seed: int = 0) -> Path:
    """Write such a network as a checkpoint."""
    folder.mkdir()
    write_fields(folder, ENCODER, DECODER, CONTROL)
    byte_bpe().save(str(folder / TOKENIZER))
    save_file(network(seed).state_dict(), folder / WEIGHTS)
    return folder


def collate() -> Collate:
    """Return what puts examples side by side for it."""
    return Collate(LogMel(ENCODER.mels), CONTROL, DECODER.max_positions)


def example(seed: int, chunks: int = 4) -> Example:
    """Return a stream in which some chunks are answered, two in one drained queue, with noise."""
    rng = np.random.default_rng(seed)
    tokens = list(CONTROL.prefix_ids(rng.integers(0, FIRST_CONTROL, 3).tolist()))
    text, stream = [False] * len(tokens), [False] * len(tokens)
    for chunk in range(chunks):
        tokens += CONTROL.block
        text += [False] * len(CONTROL.block)
        stream += [False] * len(CONTROL.block)
        if chunk == 0:
            continue  # it is drained together with the next one
        answer = _answer(rng)
        tokens += answer
        stream += [True] + [False] * (len(answer) - 1)
        text += [False] + [True] * (len(answer) - 1)
    return Example(
        np.array(tokens),
        np.array(text),
        np.array(stream),
        np.arange(chunks),
        pcm_S=rng.normal(0, 0.1, chunks * CHUNK_SAMPLES).astype(np.float32),
        name=f"noise {seed}",
    )


@dataclass(frozen=True)
class Noise:
    """A source of such streams."""

    length: int = 40
    first: int = 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Example:
        return example(self.first + index, chunks=2 + (self.first + index) % 3)


def _answer(rng: np.random.Generator) -> list[int]:
    if rng.random() < 0.5:
        return [CONTROL.silence]
    words = rng.integers(0, FIRST_CONTROL, rng.integers(1, 6)).tolist()
    return [CONTROL.text_begin, CONTROL.normal, *words, CONTROL.text_end]
