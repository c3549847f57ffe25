"""The encoder's interface: one chunk and a small carried state in, named tensors out.

Where states travel, they do so as bytes; those of a session that has heard nothing are empty.
"""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from soundflow.audio import Chunk
from soundflow.features import Features, TensorSpec

StateT = TypeVar("StateT")

HEARD_NOTHING = b""


class StateMisfit(ValueError):
    """A state that this encoder did not write, nor one like it: another version of a model may."""


class Encoder(Protocol[StateT]):
    """Turn chunks into features; all that must outlive a chunk is in the state passed through.

    Calls block and may come from any thread, one at a time.
    """

    @property
    def tensors(self) -> Sequence[TensorSpec]:
        """The tensors of each chunk's features; known without weights, by the class."""
        ...

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


def encode_carried(
    encoder: Encoder[Any], batch: Sequence[tuple[Chunk, bytes]]
) -> list[tuple[Features, bytes] | Exception]:
    """Encode chunks whose states travel as bytes.

    A state that is none, or a chunk that cannot be encoded, gets its error in its place.
    """
    states = [_loaded(encoder, state) for _, state in batch]
    good = [
        (chunk, state)
        for (chunk, _), state in zip(batch, states, strict=True)
        if not isinstance(state, StateMisfit)
    ]
    encoded = iter(_encoded(encoder, good))
    return [state if isinstance(state, StateMisfit) else next(encoded) for state in states]


def _loaded(encoder: Encoder[Any], state: bytes) -> Any:  # whatever the encoder carries
    if state == HEARD_NOTHING:
        return encoder.initial()
    try:
        return encoder.load(state)
    except ValueError as error:
        return StateMisfit(str(error))


def _encoded(
    encoder: Encoder[StateT], batch: Sequence[tuple[Chunk, StateT]]
) -> list[tuple[Features, bytes] | Exception]:
    if not batch:
        return []
    try:
        return [(features, encoder.dump(state)) for features, state in encoder.encode(batch)]
    except Exception as error:
        if len(batch) == 1:
            return [error]
    return [encoded for one in batch for encoded in _encoded(encoder, [one])]
