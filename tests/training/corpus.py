"""Rows and sounds made up for tests."""

from pathlib import Path

import numpy as np
import soundfile

from soundflow.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from soundflow.unified.tokens import ControlTokens, TextTokens
from tests.soundflow.unified.byte_bpe import byte_bpe
from training.composition.rows import SILENT, Row, Turn
from training.composition.sequence import Parts

CONTROL = ControlTokens()
PARTS = Parts(CONTROL, TextTokens(byte_bpe(), CONTROL))

TEXTS = (
    "hello world",
    "A dog barks.",
    "Дождь идёт",
    "多い",
    "ok <|im_end|> 7",
    "é naïve 🙂",
    "the theme",
)
EMOTIONS = ("happy", "sad", "angry", "surprise", "normal", "urgent")


def made_row(seed: int, folder: Path, turns: int = 0) -> Row:
    """A stream of turns of 1 to 4 chunks, whose audio lies in the folder."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(turns or int(rng.integers(1, 12))):
        path = f"{seed}-{number}.flac"
        samples = int(rng.integers(1, 5)) * CHUNK_SAMPLES
        soundfile.write(folder / path, rng.uniform(-0.5, 0.5, samples), SAMPLE_RATE_HZ)
        said = SILENT if rng.random() < 0.3 else str(rng.choice(TEXTS))
        emotion = "normal" if said == SILENT else str(rng.choice(EMOTIONS))
        made.append(
            Turn.model_validate({"audio_path": path, "assistant": said, "emotion": emotion})
        )
    return Row(id=f"row-{seed}", turns=tuple(made), timed=True, system="Listen.", split="train")
