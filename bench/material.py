"""Long recordings for load: real prompts, joined with pauses, each session in another order."""

from collections.abc import Iterator

import numpy as np

from bench.asr_data import load_prompts
from bench.load import Pcm16
from soundflow.audio import SAMPLE_RATE_HZ

PAUSE_S = (0.4, 2.0)  # as people take turns on the telephone


def conversations(count: int, *, seconds: float, seed: int = 1) -> Iterator[Pcm16]:
    """Yield `count` recordings of `seconds`, the same for the same seed."""
    prompts = [prompt.pcm for prompt in load_prompts("dev")]
    for session in range(count):
        rng = np.random.default_rng([seed, session])
        yield _joined(prompts, rng, round(seconds * SAMPLE_RATE_HZ))


def _joined(prompts: list[Pcm16], rng: np.random.Generator, samples: int) -> Pcm16:
    parts: list[Pcm16] = []
    length = 0
    while length < samples:
        prompt = prompts[rng.integers(len(prompts))]
        pause = np.zeros(round(rng.uniform(*PAUSE_S) * SAMPLE_RATE_HZ), np.int16)
        parts += [prompt, pause]
        length += len(prompt) + len(pause)
    return np.concatenate(parts)[:samples]
