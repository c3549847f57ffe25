"""One decoder replica, a version on a Triton server: the engine's calls, as long as it lives."""

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from services.core import metrics
from services.inference.config import InferenceConfig
from services.inference.port import ReplicaLost
from services.inference.triton_stream import MODEL, Answer, DecoderStream, Row
from soundflow.engine_session import Heard
from soundflow.features import Features
from soundflow.interaction import NOTHING_PAST, ModelInfo, Past, Piece, SessionSpec
from soundflow.serving.calls import (
    Answered,
    Call,
    Cancel,
    Close,
    Done,
    Hear,
    Instruct,
    Open,
    Opened,
    Pong,
    Refused,
    Reply,
    Said,
    Speak,
    Unfollow,
    error_of,
)

log = logging.getLogger(__name__)

RECONNECT_S = 0.25

ReplyT = TypeVar("ReplyT", bound=Reply)
ResultT = TypeVar("ResultT")


class TritonDecoder:
    """Calls while `run` works; it comes back when its server does, without its sessions.

    changed: told whenever the replica was found alive or lost.
    """

    def __init__(
        self, replica: str, config: InferenceConfig, changed: Callable[[], None] = lambda: None
    ) -> None:
        self.replica = replica
        self.known_info: ModelInfo | None = None
        self.settled = asyncio.Event()  # it is known whether the replica answers
        self.alive = False
        self._config = config
        self._changed = changed
        self._numbers = itertools.count(secrets.randbits(48))
        self._stream: DecoderStream | None = self._new_stream()
        self._why = ""

    @property
    def info(self) -> ModelInfo:
        """What the model behind it says of itself. ReplicaLost while it never answered."""
        if self.known_info is None:
            raise ReplicaLost(self.replica, self._why or "it was not asked yet")
        return self.known_info

    async def run(self) -> None:
        """Keep a stream to the server until cancelled."""
        stream = self._stream or self._new_stream()
        while True:
            self._why = await stream.run()
            self._stream = None
            self._note(alive=False)
            await asyncio.sleep(RECONNECT_S)
            stream = self._new_stream()

    async def open(self, session_id: str, spec: SessionSpec, past: Past = NOTHING_PAST) -> int:
        """Make a session, and return the chunk that it expects next."""
        call = Open(next(self._numbers), session_id, spec, past)
        return await self._ask(call, lambda reply: _expect(Opened, reply).next_index)

    def hear(self, features: Features) -> Awaitable[Heard]:
        """Queue a chunk; the result is there once it was drained."""
        call = Hear(next(self._numbers), features.session_id, features.index, features.last)
        return self._ask(call, lambda reply: _expect(Answered, reply).heard, features.tensors)

    async def speak(self, session_id: str, turn: int) -> AsyncIterator[Piece]:
        """Follow a turn to its end."""
        call = Speak(next(self._numbers), session_id, turn)
        replies: asyncio.Queue[Reply | ReplicaLost] = asyncio.Queue()
        stream = self._send(call, replies.put_nowait)
        reply: Reply | ReplicaLost | None = None
        try:
            while not isinstance(reply := await replies.get(), Done):
                yield _expect(Said, reply).piece
        finally:
            if reply is None or isinstance(reply, Said):  # who asked does not want the rest
                stream.forget(call.call)
                with suppress(ReplicaLost):
                    stream.send(Unfollow(next(self._numbers), call.call), None, lambda _: None)

    async def instruct(self, session_id: str, text: str) -> None:
        """Follow a new instruction."""
        await self._ask(Instruct(next(self._numbers), session_id, text), _done)

    async def cancel(self, session_id: str, turn: int) -> None:
        """Give up a turn."""
        await self._ask(Cancel(next(self._numbers), session_id, turn), _done)

    async def close(self, session_id: str) -> None:
        """Forget a session."""
        await self._ask(Close(next(self._numbers), session_id), _done)

    def _ask(
        self, call: Call, read: Callable[[Reply | ReplicaLost], ResultT], row: Row | None = None
    ) -> asyncio.Future[ResultT]:
        """Send a call at once; the future has what `read` makes of its reply."""
        result: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        began = time.perf_counter()

        def settle(reply: Reply | ReplicaLost) -> None:
            metrics.INFERENCE_SECONDS.labels(MODEL, call.op).observe(time.perf_counter() - began)
            if isinstance(reply, ReplicaLost):
                metrics.INFERENCE_ERRORS.labels(MODEL, call.op).inc()
            if result.done():
                return
            try:
                result.set_result(read(reply))
            except Exception as error:
                result.set_exception(error)

        self._send(call, settle, row)
        return result

    def _send(self, call: Call, answer: Answer, row: Row | None = None) -> DecoderStream:
        if self._stream is None:
            raise ReplicaLost(self.replica, self._why)
        self._stream.send(call, row, answer)
        return self._stream

    def _new_stream(self) -> DecoderStream:
        def found(pong: Pong) -> None:
            self.known_info = pong.info
            self._stream = stream  # calls are refused until then, but for the first attempt's
            self._note(alive=True)

        stream = DecoderStream(self.replica, self._config, self._numbers, found)
        return stream

    def _note(self, *, alive: bool) -> None:
        if self.alive and not alive:
            log.warning("decoder %s is lost: %s", self.replica, self._why)
            metrics.REPLICAS_LOST.labels(MODEL).inc()
        self.alive = alive
        self.settled.set()
        self._changed()


def _expect(kind: type[ReplyT], reply: Reply | ReplicaLost) -> ReplyT:
    """Return a reply of that kind, or raise the error that it tells of."""
    if isinstance(reply, kind):
        return reply
    if isinstance(reply, ReplicaLost):
        raise reply
    if isinstance(reply, Refused):
        raise error_of(reply.error, reply.message)
    raise RuntimeError(f"the decoder answered {reply} where {kind.__name__} was expected")


def _done(reply: Reply | ReplicaLost) -> None:
    _expect(Done, reply)
