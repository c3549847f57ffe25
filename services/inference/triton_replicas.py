"""The decoder's replicas on Triton servers, as they come and go."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from types import TracebackType
from typing import Self

from services.core import metrics
from services.core.errors import Unavailable
from services.inference.addresses import Addresses
from services.inference.config import InferenceConfig
from services.inference.port import DecoderClient
from services.inference.triton_decoder import TritonDecoder
from services.inference.triton_stream import MODEL
from soundflow.interaction import ModelInfo

log = logging.getLogger(__name__)


class TritonDecoderPool:
    """Each replica is named by its address, and has one stream of calls from this process.

    Use it as a context, which begins once a replica has said what the model is; Unavailable where
    none does.
    """

    def __init__(self, config: InferenceConfig) -> None:
        self._config = config
        self._addresses = Addresses(config.decoders)
        self._listed: frozenset[str] = frozenset()
        self._replicas: dict[str, TritonDecoder] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._change = asyncio.Event()
        self._info: ModelInfo | None = None

    async def __aenter__(self) -> Self:
        interval_s = self._config.resolve_interval_s
        self._watch = asyncio.create_task(self._addresses.watch(self._take_up, every_s=interval_s))
        try:
            await self._wait_for_any()
            # The others too, or the first sessions would not be where they belong.
            for replica in [self._replicas[name] for name in self._listed]:
                await replica.settled.wait()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    @property
    def info(self) -> ModelInfo:
        """What the model says of itself."""
        if self._info is None:
            raise RuntimeError("the pool was not entered")
        return self._info

    async def ranked(self, session_id: str) -> Sequence[str]:
        """Return the replicas that answer, where a session belongs first."""
        return rendezvous(session_id, await self._wait_for_any())

    def at(self, replica: str) -> DecoderClient:
        """Return the replica of that name; one that is not known yet is looked for."""
        return self._replicas.get(replica) or self._start(replica)

    async def _wait_for_any(self) -> list[str]:
        patience_s = self._config.decoder_patience_s
        try:
            async with asyncio.timeout(patience_s):
                while not (alive := self._alive()):
                    self._change.clear()
                    await self._change.wait()
        except TimeoutError:
            raise Unavailable(
                "decoder_unavailable",
                f"no decoder of {self._config.decoder_addresses} has answered for {patience_s:g} s",
            ) from None
        return alive

    def _alive(self) -> list[str]:
        return [name for name in self._listed if self._replicas[name].alive]

    def _take_up(self, addresses: frozenset[str]) -> None:
        self._listed = addresses
        for new in addresses - self._replicas.keys():
            self._start(new)
        self._changed()

    def _start(self, name: str) -> TritonDecoder:
        replica = self._replicas[name] = TritonDecoder(name, self._config, self._changed)
        self._running[name] = asyncio.create_task(replica.run())
        return replica

    def _changed(self) -> None:
        """A replica was found alive or lost, or other ones are listed."""
        for name in self._replicas.keys() - self._listed:
            replica = self._replicas[name]
            if replica.settled.is_set() and not replica.alive:  # it will not come back
                del self._replicas[name]
                self._running.pop(name).cancel()
        alive = self._alive()
        if alive and self._info is None:
            self._info = self._replicas[alive[0]].info
        metrics.REPLICAS_ALIVE.labels(MODEL).set(len(alive))
        self._change.set()

    async def _end(self) -> None:
        tasks = [self._watch, *self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def rendezvous(session_id: str, replicas: Iterable[str]) -> Sequence[str]:
    """Return replicas by their hash together with the session, the highest first.

    Where one is lost only its own sessions go elsewhere, and every process finds the same.
    """

    def height(replica: str) -> bytes:
        return blake2b(f"{replica} {session_id}".encode()).digest()

    return sorted(replicas, key=height, reverse=True)
