"""Models in this process; the decoder's side is the engine itself."""

import asyncio
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from services.inference.port import CarriedState
from soundflow.audio import Chunk
from soundflow.encoder import Encoder
from soundflow.features import Features

_Waiting = tuple[Chunk, CarriedState, asyncio.Future[tuple[Features, CarriedState]]]


class LocalEncoder:
    """Batches the chunks of all sessions that wait for the encoder; one thread runs it."""

    def __init__(self, encoder: Encoder[Any]) -> None:
        self._encoder = encoder
        self._waiting: list[_Waiting] = []
        self._busy = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoder")

    def initial(self) -> CarriedState:
        """Return the state of a session that has heard nothing."""
        return self._encoder.initial()

    def encode(self, chunk: Chunk, state: CarriedState) -> Awaitable[tuple[Features, CarriedState]]:
        """Encode a chunk, together with whatever else waits."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[tuple[Features, CarriedState]] = loop.create_future()
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
        encoded = loop.run_in_executor(self._thread, self._encoder.encode, inputs)

        def hand_out(done: asyncio.Future[list[tuple[Features, CarriedState]]]) -> None:
            _resolve(batch, done)
            self._next_batch(loop)

        encoded.add_done_callback(hand_out)


def _resolve(
    batch: list[_Waiting], done: asyncio.Future[list[tuple[Features, CarriedState]]]
) -> None:
    open_results = [(i, result) for i, (_, _, result) in enumerate(batch) if not result.done()]
    error = None if done.cancelled() else done.exception()
    for i, result in open_results:
        if done.cancelled():
            result.cancel()
        elif error:
            result.set_exception(error)
        else:
            result.set_result(done.result()[i])
