"""The encoder on Triton servers: any of them can encode any chunk."""

import asyncio
import random
import time
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    RetryError,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from services.core import metrics
from services.core.errors import Unavailable
from services.inference.addresses import Addresses
from services.inference.batching import Batcher
from services.inference.config import InferenceConfig
from services.inference.triton_wire import connect, inputs, outputs
from soundflow.audio import Chunk
from soundflow.encoder import HEARD_NOTHING
from soundflow.features import Features
from soundflow.serving import encoder_batch

MODEL = "encoder"
LABELS = (MODEL, "encode")

# Requests under way at once; what waits for them shares the next one.
SIDE_BY_SIDE = 4
LARGEST_REQUEST = 32
# A server that failed is asked again after so long, or when all have failed.
REST_S = 1.0

_Encoded = tuple[Features, bytes]


class _ServerFailed(Exception):
    """One server did not answer as it should; another may."""


@dataclass(slots=True)
class _Server:
    client: InferenceServerClient
    chunks: int = 0  # under way
    rests_until: float = 0  # 0 = it answered last time

    @property
    def rests(self) -> bool:
        return time.monotonic() < self.rests_until


@dataclass(frozen=True, slots=True)
class _Asked:
    chunk: Chunk
    state: bytes
    give_up_at: float


class TritonEncoder:
    """Asks the server that has least to do, and another one where that fails.

    Use it as a context: it follows servers that come and go.
    """

    def __init__(self, config: InferenceConfig) -> None:
        self._config = config
        self._addresses = Addresses(config.encoders)
        self._servers: dict[str, _Server] = {}
        self._batches = Batcher(self._encode, side_by_side=SIDE_BY_SIDE, largest=LARGEST_REQUEST)
        self._retiring: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._take_up(await self._addresses.find())
        interval_s = self._config.resolve_interval_s
        self._watch = asyncio.create_task(self._addresses.watch(self._take_up, every_s=interval_s))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watch.cancel()
        with suppress(asyncio.CancelledError):
            await self._watch
        self._batches.close()
        for retiring in self._retiring:
            retiring.cancel()
        for server in self._servers.values():
            await server.client.close()

    def initial(self) -> bytes:
        """Return the state of a session that has heard nothing."""
        return HEARD_NOTHING

    def encode(self, chunk: Chunk, state: bytes) -> Awaitable[_Encoded]:
        """Encode a chunk, in one request with whatever else waits."""
        give_up_at = time.monotonic() + self._config.encode_patience_s
        return self._batches.put(_Asked(chunk, state, give_up_at))

    async def _encode(self, asked: Sequence[_Asked]) -> list[_Encoded | Exception]:
        """Send one request until a server answers it."""
        batch = [(one.chunk, one.state) for one in asked]
        patience_s = max(asked[0].give_up_at - time.monotonic(), 0)
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(_ServerFailed),
            stop=stop_after_delay(patience_s),
            wait=wait_random_exponential(multiplier=0.05, max=1),
            before_sleep=_note_retry,
        )
        try:
            with metrics.INFERENCE_SECONDS.labels(*LABELS).time():
                return await attempts(self._ask, batch)
        except RetryError as error:
            metrics.INFERENCE_ERRORS.labels(*LABELS).inc()
            cause = error.last_attempt.exception()
            raise Unavailable("encoder_unavailable", f"no encoder answers: {cause}") from cause

    async def _ask(self, batch: Sequence[tuple[Chunk, bytes]]) -> list[_Encoded | Exception]:
        """Ask one server."""
        server = self._choose()
        server.chunks += len(batch)
        try:
            result = await server.client.infer(
                MODEL,
                inputs(encoder_batch.inputs(batch)),
                client_timeout=self._config.encode_timeout_s,
            )
        except InferenceServerException as error:
            if error.status() == "StatusCode.INVALID_ARGUMENT":  # as any other server would say
                raise ValueError(error.message()) from error
            self._note_failure(server)
            raise _ServerFailed(error.message()) from error
        finally:
            server.chunks -= len(batch)
        if server.rests_until:
            server.rests_until = 0
            self._count_alive()
        version = int(result.get_response().model_version)
        return encoder_batch.results(batch, outputs(result), version)

    def _note_failure(self, server: _Server) -> None:
        if not server.rests_until:
            metrics.REPLICAS_LOST.labels(MODEL).inc()
        server.rests_until = time.monotonic() + REST_S
        self._count_alive()

    def _choose(self) -> _Server:
        if not self._servers:
            raise _ServerFailed(f"{self._config.encoder_addresses} leads to no server")
        return min(self._servers.values(), key=lambda s: (s.rests, s.chunks, random.random()))

    def _take_up(self, addresses: frozenset[str]) -> None:
        for gone in self._servers.keys() - addresses:
            retiring = asyncio.create_task(self._retire(self._servers.pop(gone)))
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)
        for new in addresses - self._servers.keys():
            self._servers[new] = _Server(connect(new))
        self._count_alive()

    async def _retire(self, server: _Server) -> None:
        try:
            await asyncio.sleep(self._config.encode_timeout_s)  # for what is under way there
        finally:
            await server.client.close()

    def _count_alive(self) -> None:
        alive = sum(server.rests_until == 0 for server in self._servers.values())
        metrics.REPLICAS_ALIVE.labels(MODEL).set(alive)


def _note_retry(state: RetryCallState) -> None:
    metrics.INFERENCE_RETRIES.labels(*LABELS).inc()
