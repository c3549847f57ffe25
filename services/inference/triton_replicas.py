"""The decoder's replicas on Triton servers, as they come and go."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
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
from services.inference.triton_versions import ServedVersions, place_of, replica_name
from soundflow.interaction import ModelInfo

log = logging.getLogger(__name__)


class TritonDecoderPool:
    """A replica is one version of the model on one server, with one stream of calls from here.

    While a server changes over it has two: sessions stay where they are, new ones get the newer.
    Use it as a context, which begins once a replica has said what the model is; Unavailable where
    none does.
    """

    def __init__(self, config: InferenceConfig) -> None:
        self._config = config
        self._addresses = Addresses(config.decoders)
        self._servers: dict[str, ServedVersions] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
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
            for server in list(self._servers.values()):
                await server.asked.wait()
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
        newest = _newest_versions(await self._wait_for_any())
        return [replica_name(at, newest[at]) for at in rendezvous(session_id, newest)]

    def at(self, replica: str) -> DecoderClient:
        """Return the replica of that name; one that is not known yet is looked for."""
        return self._replicas.get(replica) or self._start(replica)

    def successor(self, replica: str) -> str | None:
        """Return the replica of the newest version on the same server, if that is another."""
        address, version = place_of(replica)
        newest = _newest_versions(self._alive()).get(address, version)
        return replica_name(address, newest) if newest > version else None

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
        for gone in self._servers.keys() - addresses:
            del self._servers[gone]
            self._asking.pop(gone).cancel()
        for new in addresses - self._servers.keys():
            server = self._servers[new] = ServedVersions(new, MODEL, self._list)
            watch = server.watch(
                every_s=self._config.decoder_ping_s, timeout_s=self._config.decoder_silent_s
            )
            self._asking[new] = asyncio.create_task(watch)
        self._list()

    def _list(self) -> None:
        """Take up what servers run now."""
        self._listed = frozenset(
            replica_name(address, version)
            for address, server in self._servers.items()
            for version in server.versions
        )
        for new in self._listed - self._replicas.keys():
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
        if alive:
            newest = max(alive, key=lambda replica: place_of(replica)[1])
            self._info = self._replicas[newest].info
        servers = {place_of(replica)[0] for replica in alive}
        metrics.REPLICAS_ALIVE.labels(MODEL).set(len(servers))
        self._change.set()

    async def _end(self) -> None:
        tasks = [self._watch, *self._asking.values(), *self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _newest_versions(replicas: Iterable[str]) -> Mapping[str, int]:
    """Return the newest version of each server's."""
    newest: dict[str, int] = {}
    for address, version in map(place_of, replicas):
        newest[address] = max(version, newest.get(address, version))
    return newest


def rendezvous(session_id: str, replicas: Iterable[str]) -> Sequence[str]:
    """Return replicas by their hash together with the session, the highest first.

    Where one is lost only its own sessions go elsewhere, and every process finds the same.
    """

    def height(replica: str) -> bytes:
        return blake2b(f"{replica} {session_id}".encode()).digest()

    return sorted(replicas, key=height, reverse=True)
