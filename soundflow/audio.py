"""Audio as the pipeline sees it: fixed chunks of mono PCM, each with its place in the session."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
CHUNK_MS = 400
CHUNK_SAMPLES = SAMPLE_RATE_HZ * CHUNK_MS // 1000  # 6400

Pcm = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Chunk:
    """One 400 ms step of one session.

    pcm: `(CHUNK_SAMPLES,)` float32 in [-1, 1]; zeros after the first `samples`.
    samples: how many samples are audio; less than CHUNK_SAMPLES only in the last chunk.
    last: no chunk follows.
    """

    session_id: str
    index: int
    pcm: Pcm
    samples: int = CHUNK_SAMPLES
    last: bool = False

    def __post_init__(self) -> None:
        if self.pcm.shape != (CHUNK_SAMPLES,):
            raise ValueError(f"a chunk is {CHUNK_SAMPLES} samples, got {self.pcm.shape=}")

    @property
    def start_ms(self) -> int:
        """Where the chunk starts in the session."""
        return self.index * CHUNK_MS

    @property
    def end_ms(self) -> int:
        """Where the chunk ends in the session; the earliest moment it can be answered."""
        return (self.index + 1) * CHUNK_MS
