"""Recordings for judging transcription: prompts joined with pauses, clean or spoiled."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from bench.asr_data import Prompt
from soundflow.audio import SAMPLE_RATE_HZ, Pcm

PAUSE_S = (0.6, 1.5)
TELEPHONE_HZ = 8_000
NOISE_SNR_DB = 10.0
SEED = 4


@dataclass(frozen=True, slots=True)
class Recording:
    """Prompts joined with pauses. starts: each prompt's first sample."""

    prompts: Sequence[Prompt]
    starts: Sequence[int]
    pcm: Pcm

    def part(self, index: int) -> Pcm:
        """Return the recording of one prompt."""
        start = self.starts[index]
        return self.pcm[start : start + len(self.prompts[index].pcm)]


def join(prompts: Sequence[Prompt]) -> Recording:
    """Join prompts with pauses drawn from `PAUSE_S`, the same every time."""
    rng = np.random.default_rng(SEED)
    parts: list[Pcm] = []
    starts: list[int] = []
    for prompt in prompts:
        parts.append(np.zeros(round(rng.uniform(*PAUSE_S) * SAMPLE_RATE_HZ), np.float32))
        starts.append(sum(map(len, parts)))
        parts.append(as_float(prompt))
    parts.append(np.zeros(SAMPLE_RATE_HZ, np.float32))
    return Recording(prompts, starts, np.concatenate(parts))


def as_float(prompt: Prompt) -> Pcm:
    """Return a prompt's samples in [-1, 1]."""
    return prompt.pcm.astype(np.float32) / np.float32(32768)


def plain(pcm: Pcm) -> Pcm:
    """Leave the recording as it is."""
    return pcm


def mu_law(pcm: Pcm) -> Pcm:
    """Send the recording through a telephone line: 8 kHz, 8 bits, µ-law."""
    line = io.BytesIO()
    narrow = soxr.resample(pcm, SAMPLE_RATE_HZ, TELEPHONE_HZ)
    soundfile.write(line, narrow, TELEPHONE_HZ, format="WAV", subtype="ULAW")
    line.seek(0)
    heard, _ = soundfile.read(line, dtype="float32")
    wide: Pcm = soxr.resample(heard, TELEPHONE_HZ, SAMPLE_RATE_HZ)
    return wide


def noisy(pcm: Pcm) -> Pcm:
    """Add white noise, 10 dB below the speech (pauses not counted)."""
    power = float(np.mean(np.square(pcm[pcm != 0])))
    noise = np.random.default_rng(SEED).standard_normal(len(pcm)).astype(np.float32)
    return pcm + noise * np.float32(np.sqrt(power / 10 ** (NOISE_SNR_DB / 10)))


CONDITIONS: Mapping[str, Callable[[Pcm], Pcm]] = {
    "8 kHz": plain,
    "8 kHz µ-law": mu_law,
    f"noise at {NOISE_SNR_DB:.0f} dB": noisy,
}
