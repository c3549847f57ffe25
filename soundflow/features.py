"""What an encoder makes of one chunk: named tensors, so that a new model changes no schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Tensor = NDArray[Any]  # each encoder says which types it makes


@dataclass(frozen=True, slots=True)
class Features:
    """The encoder's view of one chunk of one session.

    tensors: by name. The unified models make `frames` (10, d) float32; the cascade makes
    `log_mel`, `sound_scores` and `speech`, described in `soundflow/cascade/encoder.py`.
    last: no chunk follows; the session's audio is over.
    """

    session_id: str
    index: int
    tensors: Mapping[str, Tensor]
    last: bool = False

    def __post_init__(self) -> None:
        if self.index < 0:
            raise ValueError(f"a chunk's index counts from 0, got {self.index=}")
