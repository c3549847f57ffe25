"""The recordings of `tests/data`, put together to what a caller may send."""

from pathlib import Path

import numpy as np
import soundfile
import soxr

from soundflow.audio import SAMPLE_RATE_HZ, Pcm

DATA = Path(__file__).parents[1] / "data"

# What is said in them, as their publisher wrote it down.
PROMPTS = {
    "agent-pass": "Please enter your password followed by the pound key.",
    "conf-invalid": "That is not a valid conference number.  Please try again.",
    "conf-onlyperson": "You are currently the only person in this conference.",
    "conf-waitforleader": "The conference will begin when the leader arrives.",
    "vm-savefolder": "Which folder should I save the message to?",
}


def recording(name: str) -> Pcm:
    """Return a file of `tests/data` as 16 kHz mono."""
    samples, rate_hz = soundfile.read(DATA / name, dtype="float32")
    pcm: Pcm = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ)
    return pcm


def prompt(name: str) -> Pcm:
    """Return one of PROMPTS."""
    return recording(f"prompts/{name}.flac")


def joined(*parts: Pcm | float) -> Pcm:
    """Put recordings together, and pauses of so many seconds."""
    return np.concatenate(
        [
            np.zeros(round(part * SAMPLE_RATE_HZ), np.float32) if isinstance(part, float) else part
            for part in parts
        ]
    )


def words_of(text: str) -> list[str]:
    """Return a text's words in lower case, without punctuation."""
    return ["".join(filter(str.isalnum, word)) for word in text.lower().split()]


def pcm16(pcm: Pcm) -> bytes:
    """Return samples as pcm_s16le."""
    return (pcm * 32767).astype("<i2").tobytes()
