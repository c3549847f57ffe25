"""An encoder called with several requests of several chunks each, in the tensors of a server.

Inputs, n chunks to a request: `session_id`, `index`, `last`, `state` (n, 1) and `pcm` (n, 6400); a
session that has heard nothing has an empty state. Outputs: the encoder's own tensors, `state` and,
where a chunk failed, `error` (n, 1): what happened to it; empty where its other outputs hold.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from soundflow.audio import CHUNK_SAMPLES, Chunk
from soundflow.encoder import HEARD_NOTHING, Encoder, encode_carried
from soundflow.features import Features, Tensor
from soundflow.serving.calls import error_of, named
from soundflow.serving.tensors import stacked, unstacked

INPUTS = ("session_id", "index", "last", "pcm", "state")
STATE = "state"
ERROR = "error"

Encoded = tuple[Features, bytes]


class EncoderBatch:
    """Encodes all that several requests ask for in one batch."""

    def __init__(self, encoder: Encoder[Any]) -> None:
        self._encoder = encoder

    def warm_up(self) -> None:
        """Encode once. Raises what the encoder raises."""
        chunk = Chunk("warm-up", 0, np.zeros(CHUNK_SAMPLES, np.float32), last=True)
        [encoded] = encode_carried(self._encoder, [(chunk, HEARD_NOTHING)])
        if isinstance(encoded, Exception):
            raise encoded

    def encode(self, requests: Sequence[Mapping[str, Tensor]]) -> list[dict[str, Tensor]]:
        """Return the outputs of each request."""
        batches = [list(_chunks(request)) for request in requests]
        encoded = iter(encode_carried(self._encoder, [item for batch in batches for item in batch]))
        return [self._outputs([next(encoded) for _ in batch]) for batch in batches]

    def _outputs(self, encoded: Sequence[Encoded | Exception]) -> dict[str, Tensor]:
        nothing = {
            s.name: np.zeros([max(d, 0) for d in s.shape], s.dtype) for s in self._encoder.tensors
        }
        rows = [nothing if isinstance(one, Exception) else one[0].tensors for one in encoded]
        states = [b"" if isinstance(one, Exception) else one[1] for one in encoded]
        outputs = stacked(rows) | {STATE: _column(states)}
        errors = [_written(one) if isinstance(one, Exception) else b"" for one in encoded]
        return outputs | ({ERROR: _column(errors)} if any(errors) else {})


def inputs(batch: Sequence[tuple[Chunk, bytes]]) -> dict[str, Tensor]:
    """Return the inputs of a request for some chunks."""
    return {
        "session_id": _column([chunk.session_id.encode() for chunk, _ in batch]),
        "index": np.array([[chunk.index] for chunk, _ in batch], np.int64),
        "last": np.array([[chunk.last] for chunk, _ in batch]),
        "pcm": np.stack([chunk.pcm for chunk, _ in batch]),
        "state": _column([state for _, state in batch]),
    }


def results(
    batch: Sequence[tuple[Chunk, bytes]], outputs: Mapping[str, Tensor], version: int
) -> list[Encoded | Exception]:
    """Read what came of a request to this version of the encoder."""
    tensors = {name: tensor for name, tensor in outputs.items() if name not in (STATE, ERROR)}
    errors = outputs.get(ERROR, np.full((len(batch), 1), b"", object))
    return [
        _read(error)
        if error
        else (Features(chunk.session_id, chunk.index, row, chunk.last, version), state)
        for (chunk, _), row, state, error in zip(
            batch, unstacked(tensors), outputs[STATE][:, 0], errors[:, 0], strict=True
        )
    ]


def _chunks(request: Mapping[str, Tensor]) -> Iterator[tuple[Chunk, bytes]]:
    for session_id, index, last, pcm, state in zip(
        *(request[name] for name in INPUTS), strict=True
    ):
        chunk = Chunk(session_id[0].decode(), int(index[0]), pcm, last=bool(last[0]))
        yield chunk, state[0]


def _column(values: Sequence[bytes]) -> Tensor:
    column = np.empty((len(values), 1), object)
    column[:, 0] = values
    return column


def _written(error: Exception) -> bytes:
    return f"{named(error)}: {error}".encode()


def _read(error: bytes) -> Exception:
    name, _, message = error.decode().partition(": ")
    return error_of(name, message)
