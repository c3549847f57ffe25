"""An encoder behind a server: requests share one batch, and each gets its own outputs."""

from collections.abc import Sequence

import numpy as np
import pytest

from soundflow.audio import CHUNK_SAMPLES, Chunk
from soundflow.encoder import HEARD_NOTHING
from soundflow.features import Features, TensorSpec
from soundflow.serving.encoder_batch import EncoderBatch, inputs, results

Batch = list[tuple[Chunk, bytes]]


class Counting:
    """Makes as many numbers as the session has heard chunks; cannot encode chunk 13."""

    tensors = (TensorSpec("heard", "int32", (-1,)),)

    def __init__(self) -> None:
        self.batches: list[int] = []

    def initial(self) -> int:
        return 0

    def encode(self, batch: Sequence[tuple[Chunk, int]]) -> list[tuple[Features, int]]:
        self.batches.append(len(batch))
        return [self._encode(chunk, heard + 1) for chunk, heard in batch]

    def _encode(self, chunk: Chunk, heard: int) -> tuple[Features, int]:
        if chunk.index == 13:
            raise KeyError("unlucky")
        tensors = {"heard": np.arange(heard, dtype=np.int32)}
        return Features(chunk.session_id, chunk.index, tensors, chunk.last), heard

    def dump(self, state: int) -> bytes:
        return str(state).encode()

    def load(self, data: bytes) -> int:
        return int(data)


def asked(*chunks: tuple[str, int, bytes]) -> Batch:
    pcm = np.zeros(CHUNK_SAMPLES, np.float32)
    return [(Chunk(name, index, pcm, last=index == 9), state) for name, index, state in chunks]


VERSION = 7


def encode(encoder: Counting, *requests: Batch) -> list[list[tuple[Features, bytes] | Exception]]:
    outputs = EncoderBatch(encoder).encode([inputs(request) for request in requests])
    return [results(request, out, VERSION) for request, out in zip(requests, outputs, strict=True)]


def test_all_requests_share_one_batch_and_keep_their_own() -> None:
    encoder = Counting()
    one, other = asked(("a", 3, b"1"), ("b", 9, b"4")), asked(("ç", 0, HEARD_NOTHING))
    [[a, b], [c]] = encode(encoder, one, other)
    assert encoder.batches == [3]
    for got, (name, index, last, heard) in zip(
        (a, b, c), [("a", 3, False, 2), ("b", 9, True, 5), ("ç", 0, False, 1)], strict=True
    ):
        assert not isinstance(got, Exception)
        features, state = got
        assert (features.session_id, features.index, features.last) == (name, index, last)
        assert features.tensors["heard"].tolist() == list(range(heard))
        assert state == str(heard).encode()


def test_what_fails_for_one_costs_nobody_else_anything() -> None:
    [[bad, unlucky, good]] = encode(
        Counting(), asked(("a", 0, b"no state"), ("b", 13, b"1"), ("c", 2, b"2"))
    )
    assert isinstance(bad, ValueError)
    assert "no state" in str(bad)
    assert isinstance(unlucky, RuntimeError)
    assert str(unlucky) == "KeyError: 'unlucky'"
    assert not isinstance(good, Exception)
    assert good[0].tensors["heard"].tolist() == [0, 1, 2]


def test_a_request_may_fail_as_a_whole() -> None:
    [[bad]] = encode(Counting(), asked(("a", 0, b"no state")))
    assert isinstance(bad, ValueError)


def test_an_encoder_that_cannot_encode_is_not_ready() -> None:
    class Broken(Counting):
        def encode(self, batch: Sequence[tuple[Chunk, int]]) -> list[tuple[Features, int]]:
            raise OSError("no graph")

    with pytest.raises(OSError, match="no graph"):
        EncoderBatch(Broken()).warm_up()
