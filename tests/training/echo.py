"""A voice and a recogniser for tests: the one makes tones, the other remembers what they mean."""

from collections.abc import Sequence

import numpy as np

from soundflow.audio import SAMPLE_RATE_HZ, Pcm
from soundflow.cascade.whisper_model import TimedWord
from training.speech.voices import Manner
from training.synth import Booth

MS_OF_A_WORD = 200


class Echo:
    """Voice and recogniser in one. mumbles: how often it is not understood at first."""

    name = "echo"

    def __init__(self, mumbles: int = 0) -> None:
        self._said: dict[bytes, str] = {}
        self.manners: list[Manner] = []
        self._mumbles = mumbles

    def say(self, text: str, manner: Manner) -> Pcm:
        self.manners.append(manner)
        words = len(text.split())
        samples = round(words * MS_OF_A_WORD * SAMPLE_RATE_HZ / 1000 / manner.pace)
        hz = 200 + sum(map(ord, text)) % 997
        tone = np.sin(2 * np.pi * hz * np.arange(samples) / SAMPLE_RATE_HZ)
        pcm: Pcm = (0.3 * tone).astype(np.float32)
        understood = len(self.manners) > self._mumbles
        self._said[pcm.tobytes()] = text if understood else "mumble"
        return pcm

    def transcribe(self, pcm: Pcm) -> str:
        return self._said[pcm.tobytes()]

    def align(self, pcm: Pcm, text: str) -> Sequence[TimedWord]:
        words = text.split()
        ends = np.linspace(0, len(pcm) * 1000 // SAMPLE_RATE_HZ, len(words) + 1).astype(int)
        return [
            TimedWord(f" {word}", int(start), int(end))
            for word, start, end in zip(words, ends[:-1], ends[1:], strict=True)
        ]

    def booth(self) -> Booth:
        return Booth(lambda: [self], lambda: self)
