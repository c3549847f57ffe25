"""Arrays to and from Triton's client, and the channels that its calls go through."""

from collections.abc import Mapping
from typing import Self

from tritonclient.grpc import InferInput, InferResult
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import np_to_triton_dtype

from soundflow.features import Tensor

_MAX_MESSAGE_BYTES = 64 * 1024 * 1024

_CHANNEL = [
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    # A server that is back is found at once, by every client of it.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.use_local_subchannel_pool", 1),
]


def connect(address: str) -> InferenceServerClient:
    """Return a client of one server; it connects when it is first used."""
    return InferenceServerClient(address, channel_args=_CHANNEL)


def inputs(arrays: Mapping[str, Tensor]) -> list[InferInput]:
    """Return a request's inputs."""
    return [
        InferInput(name, array.shape, np_to_triton_dtype(array.dtype)).set_data_from_numpy(array)
        for name, array in arrays.items()
    ]


def outputs(result: InferResult) -> dict[str, Tensor]:
    """Return a response's outputs."""
    return {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}


class RowCheck:
    """Which tensors a model takes. One that it does not take would break a whole stream of calls.

    known: by name, the type and the shape of a row; -1 for any length.
    """

    def __init__(self, known: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
        self._known = known

    @classmethod
    async def of(
        cls, client: InferenceServerClient, model: str, version: str, timeout_s: float
    ) -> Self:
        """Ask a server what its model takes."""
        metadata = await client.get_model_metadata(model, version, client_timeout=timeout_s)
        return cls({i.name: (i.datatype, tuple(i.shape[1:])) for i in metadata.inputs})

    def misfit(self, row: Mapping[str, Tensor]) -> str:
        """Say what does not fit; "" when all does."""
        for name, tensor in row.items():
            got = np_to_triton_dtype(tensor.dtype), tensor.shape
            kind, shape = self._known.get(name, ("", ()))
            if kind != got[0] or not _fits(tensor.shape, shape):
                return f"tensor {name!r}: the model takes {kind or 'none'} {shape}, not {got}"
        return ""


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        want in (-1, have) for have, want in zip(shape, wanted, strict=True)
    )
