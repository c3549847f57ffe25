"""The encoder's interface: one chunk and a small carried state in, named tensors out."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from soundflow.audio import Chunk
from soundflow.features import Features

StateT = TypeVar("StateT")


class Encoder(Protocol[StateT]):
    """Turn chunks into features; all that must outlive a chunk is in the state passed through.

    Calls block and may come from any thread, one at a time.
    """

    def initial(self) -> StateT:
        """Return the state of a session that has heard nothing."""
        ...

    def encode(self, batch: Sequence[tuple[Chunk, StateT]]) -> list[tuple[Features, StateT]]:
        """Encode one chunk of each of several sessions.

        A chunk's features do not depend on who shares the batch.
        """
        ...

    def dump(self, state: StateT) -> bytes:
        """Serialise a state, so that another replica can go on with the same numbers."""
        ...

    def load(self, data: bytes) -> StateT:
        """Restore what `dump` wrote; ValueError when it was not written by this encoder."""
        ...
