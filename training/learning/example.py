"""One stream as training sees it, and the port that streams come from.

Shape suffixes: T positions (tokens), N blocks (chunks in the sequence), S samples, P frames of a
chunk, W width of what a tower hears.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from soundflow.audio import CHUNK_SAMPLES
from soundflow.unified.tokens import BLOCK_FRAMES


@dataclass(frozen=True, slots=True)
class Example:
    """A whole sequence: its tokens, which of them are to be predicted, and its audio.

    tokens_T: int64, as a live session lays them out; a block has ten PADs (offline: AUDIO_PADs).
    text_T: bool, tokens predicted as language (y_LM): what follows `respond`, to TEXT_END.
    stream_T: bool, tokens predicted as decisions (y_stream): one behind each drained queue.
    blocks_N: int64, which chunk of the audio each block holds, in the order of the sequence.
    pcm_S: float32 of whole chunks at 16 kHz; or in its place
    heard_NPW: what a frozen tower heard in the audio's chunks, all of them, still to be projected.
    """

    tokens_T: NDArray[np.int64]
    text_T: NDArray[np.bool_]
    stream_T: NDArray[np.bool_]
    blocks_N: NDArray[np.int64]
    pcm_S: NDArray[np.float32] | None = None
    heard_NPW: NDArray[np.floating] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        shape = self.tokens_T.shape
        if not shape[0] or self.text_T.shape != shape or self.stream_T.shape != shape:
            raise ValueError(
                f"{self.name}: {shape} tokens, {self.text_T.shape=}, {self.stream_T.shape=}"
            )
        if (self.text_T & self.stream_T).any():
            raise ValueError(f"{self.name}: a token is either text or a decision, not both")
        if self.text_T[0] or self.stream_T[0]:
            raise ValueError(f"{self.name}: nothing comes before the first token to predict it by")
        if len(self.blocks_N) and not 0 <= self.blocks_N.min() <= self.blocks_N.max() < self.chunks:
            raise ValueError(f"{self.name}: blocks of chunks beyond the audio's {self.chunks}")

    @property
    def chunks(self) -> int:
        """How many chunks of audio there are."""
        if (self.pcm_S is None) == (self.heard_NPW is None):
            if self.pcm_S is None and not len(self.blocks_N):
                return 0
            raise ValueError(f"{self.name}: audio is either samples or heard")
        if self.heard_NPW is not None:
            if self.heard_NPW.shape[1] != BLOCK_FRAMES:
                raise ValueError(f"{self.name}: a chunk has ten frames, {self.heard_NPW.shape=}")
            return len(self.heard_NPW)
        assert self.pcm_S is not None
        if len(self.pcm_S) % CHUNK_SAMPLES:
            raise ValueError(f"{self.name}: {len(self.pcm_S)} samples are no whole chunks")
        return len(self.pcm_S) // CHUNK_SAMPLES


class Source(Protocol):
    """Examples by number; a number always gives the same example, in every process."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def __getitem__(self, index: int) -> Example:
        """Return one of them."""
        ...
