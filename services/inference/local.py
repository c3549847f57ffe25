"""Models in this process; the decoder's one replica is the engine itself."""

import asyncio
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from services.inference.batching import Batcher
from services.inference.port import DecoderClient
from soundflow.audio import Chunk
from soundflow.encoder import HEARD_NOTHING, Encoder, encode_carried
from soundflow.features import Features
from soundflow.interaction import ModelInfo

REPLICA = "local"


class LocalEncoder:
    """Batches the chunks of all sessions that wait for the encoder; one thread runs it."""

    def __init__(self, encoder: Encoder[Any]) -> None:
        self._encoder = encoder
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoder")
        self._batches = Batcher(self._encode)

    def initial(self) -> bytes:
        """Return the state of a session that has heard nothing."""
        return HEARD_NOTHING

    def encode(self, chunk: Chunk, state: bytes) -> Awaitable[tuple[Features, bytes]]:
        """Encode a chunk, together with whatever else waits."""
        return self._batches.put((chunk, state))

    def close(self) -> None:
        """End the encoder's thread."""
        self._batches.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _encode(
        self, batch: Sequence[tuple[Chunk, bytes]]
    ) -> Awaitable[Sequence[tuple[Features, bytes] | Exception]]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, encode_carried, self._encoder, batch)


@dataclass(frozen=True, slots=True)
class LocalDecoderPool:
    """One replica, the engine: it is gone only when this process is."""

    engine: DecoderClient

    @property
    def info(self) -> ModelInfo:
        """What the model says of itself."""
        return self.engine.info

    async def ranked(self, session_id: str) -> Sequence[str]:
        """Return the one replica."""
        return [REPLICA]

    def at(self, replica: str) -> DecoderClient:
        """Return the engine, by whichever name a record knows it."""
        return self.engine

    def successor(self, replica: str) -> None:
        """There is one version, as long as this process lives."""
