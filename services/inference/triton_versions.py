"""Which versions of a model a server runs now, asked again and again."""

import asyncio
from collections.abc import Callable

import grpc
from tritonclient.utils import InferenceServerException

from services.inference.triton_wire import connect

_SEPARATOR = "/"


def replica_name(address: str, version: int) -> str:
    """Return the name of one version of a model on one server."""
    return f"{address}{_SEPARATOR}{version}"


def place_of(replica: str) -> tuple[str, int]:
    """Return a replica's server and version; 0, the newest there, where the name has none."""
    address, _, version = replica.partition(_SEPARATOR)
    return address, int(version or 0)


class ServedVersions:
    """What one server runs of one model. `found` is told whenever that has changed.

    asked: set once it has answered, failed to, or is not asked any more. A server that does not
    answer keeps what it had: whoever calls it finds out that it is gone.
    """

    def __init__(self, address: str, model: str, found: Callable[[], None]) -> None:
        self.versions: frozenset[int] = frozenset()
        self.asked = asyncio.Event()
        self._address, self._model = address, model
        self._found = found

    async def watch(self, *, every_s: float, timeout_s: float) -> None:
        """Ask now and every so often, until cancelled."""
        client = connect(self._address)
        try:
            while True:
                try:
                    metadata = await client.get_model_metadata(
                        self._model, client_timeout=timeout_s
                    )
                    self._note(frozenset(map(int, metadata.versions)))
                except (InferenceServerException, grpc.RpcError):
                    pass
                self.asked.set()
                await asyncio.sleep(every_s)
        finally:
            self.asked.set()  # nobody will, any more
            await client.close()

    def _note(self, versions: frozenset[int]) -> None:
        if versions != self.versions:
            self.versions = versions
            self._found()
