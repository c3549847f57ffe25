"""What an encoder makes of one chunk: named tensors, so that a new model changes no schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Tensor = NDArray[Any]  # each encoder says which types it makes


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What an encoder says of a tensor that it makes of every chunk.

    dtype: numpy's name. shape: -1 where the length varies, which only the first axis's may.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if -1 in self.shape[1:]:
            raise ValueError(f"only the first axis of a tensor may vary, got {self.shape=}")

    @property
    def varies(self) -> bool:
        """Whether the first axis has another length from chunk to chunk."""
        return self.shape[:1] == (-1,)


@dataclass(frozen=True, slots=True)
class Features:
    """The encoder's view of one chunk of one session.

    tensors: by name. The unified models make `frames` (10, d) float32; the cascade makes
    `log_mel`, `sound_scores` and `speech`, described in `soundflow/cascade/encoder.py`.
    last: no chunk follows; the session's audio is over.
    version: of the encoder that made them; 0 where it has none.
    """

    session_id: str
    index: int
    tensors: Mapping[str, Tensor]
    last: bool = False
    version: int = 0

    def __post_init__(self) -> None:
        if self.index < 0:
            raise ValueError(f"a chunk's index counts from 0, got {self.index=}")
