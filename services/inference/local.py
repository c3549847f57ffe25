"""Models in this process; the decoder's one replica is the engine itself."""

import asyncio
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from services.inference.port import DecoderClient
from soundflow.audio import Chunk
from soundflow.encoder import HEARD_NOTHING, Encoder, encode_carried
from soundflow.features import Features
from soundflow.interaction import ModelInfo

REPLICA = "local"

_Encoded = tuple[Features, bytes]
_Waiting = tuple[Chunk, bytes, asyncio.Future[_Encoded]]


class LocalEncoder:
    """Batches the chunks of all sessions that wait for the encoder; one thread runs it."""

    def __init__(self, encoder: Encoder[Any]) -> None:
        self._encode = partial(encode_carried, encoder)
        self._waiting: list[_Waiting] = []
        self._busy = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoder")

    def initial(self) -> bytes:
        """Return the state of a session that has heard nothing."""
        return HEARD_NOTHING

    def encode(self, chunk: Chunk, state: bytes) -> Awaitable[_Encoded]:
        """Encode a chunk, together with whatever else waits."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[_Encoded] = loop.create_future()
        self._waiting.append((chunk, state, result))
        if not self._busy:
            self._next_batch(loop)
        return result

    def close(self) -> None:
        """End the encoder's thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _next_batch(self, loop: asyncio.AbstractEventLoop) -> None:
        batch, self._waiting = self._waiting, []
        self._busy = bool(batch)
        if not batch:
            return
        inputs = [(chunk, state) for chunk, state, _ in batch]
        encoded = loop.run_in_executor(self._thread, self._encode, inputs)

        def hand_out(done: asyncio.Future[list[_Encoded | Exception]]) -> None:
            _resolve(batch, done)
            self._next_batch(loop)

        encoded.add_done_callback(hand_out)


def _resolve(batch: list[_Waiting], done: asyncio.Future[list[_Encoded | Exception]]) -> None:
    for (_, _, result), outcome in zip(batch, _outcomes(done, len(batch)), strict=True):
        if result.done():
            continue
        if isinstance(outcome, asyncio.CancelledError):
            result.cancel()
        elif isinstance(outcome, BaseException):
            result.set_exception(outcome)
        else:
            result.set_result(outcome)


def _outcomes(
    done: asyncio.Future[list[_Encoded | Exception]], size: int
) -> Sequence[_Encoded | BaseException]:
    if done.cancelled():
        return [asyncio.CancelledError()] * size
    error = done.exception()
    return [error] * size if error else done.result()


@dataclass(frozen=True, slots=True)
class LocalDecoderPool:
    """One replica, the engine: it is gone only when this process is."""

    engine: DecoderClient

    @property
    def info(self) -> ModelInfo:
        """What the model says of itself."""
        return self.engine.info

    async def choose(self, session_id: str) -> str:
        """Return the one replica."""
        return REPLICA

    def at(self, replica: str) -> DecoderClient:
        """Return the engine, by whichever name a record knows it."""
        return self.engine
