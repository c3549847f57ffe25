"""An engine on a thread of its own, called from others in messages of bytes."""

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from soundflow.engine import Engine
from soundflow.features import Features, Tensor
from soundflow.serving.calls import (
    CALLS,
    Call,
    Cancel,
    Close,
    Done,
    Hear,
    Instruct,
    Open,
    Opened,
    Ping,
    Pong,
    Reply,
    Said,
    Speak,
    Unfollow,
)
from soundflow.serving.message import Message, WayBack
from soundflow.serving.tensors import unstacked

log = logging.getLogger(__name__)

SWEEP_S = 1.0
WARM_WITHIN_S = 600.0

Row = Mapping[str, Tensor]


class EngineServer:
    """Works on calls side by side; those of one session begin in the order in which they came.

    Sessions that nobody calls for `idle_close_s` are closed: their caller forgot them, or died.
    measure: told, about once a second, how many sessions and how many calls are open, and what the
    decoder has counted.
    failed: told, on the engine's thread, that the engine has ended by itself.
    version: of the model, told with what it says of itself.
    """

    def __init__(
        self,
        engine: Engine[Any],
        *,
        idle_close_s: float,
        measure: Callable[[int, int, Mapping[str, int]], None] = lambda *numbers: None,
        failed: Callable[[], None] = lambda: None,
        version: int = 0,
    ) -> None:
        self._engine = engine
        self._version = version
        self._idle_close_s = idle_close_s
        self._measure = measure
        self._failed = failed
        self._id = uuid.uuid4().hex
        self._called: dict[str, float] = {}  # by open session, when it was called last
        self._followers: dict[int, asyncio.Task[None]] = {}
        self._messages: set[Message] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Return once the engine is warm. Raises what the decoder raised, or TimeoutError."""
        self._thread.start()
        if not self._ready.wait(WARM_WITHIN_S):
            raise TimeoutError(f"the decoder is not warm after {WARM_WITHIN_S:g} s")
        if self._error:
            raise self._error

    def take(self, calls: bytes, tensors: Mapping[str, Tensor], back: WayBack) -> None:
        """Begin with a message's calls, from any thread.

        ValueError when they cannot be read, RuntimeError when the engine has ended.
        """
        rows: list[Row] = list(unstacked(tensors))
        self._loop.call_soon_threadsafe(self._begin, CALLS.validate_json(calls), rows, back)

    def stop(self) -> None:
        """End the engine, and every call with it."""
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join()

    # All that follows is on the engine's thread.

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except asyncio.CancelledError:
            return
        except BaseException as error:
            self._error = error
            if self._ready.is_set():
                log.critical("the engine has ended", exc_info=error)
                self._failed()
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._main: asyncio.Task[None] = asyncio.ensure_future(self._work())
        await self._main

    async def _work(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._engine.run())
                await self._engine.started.wait()
                self._ready.set()
                group.create_task(self._sweep())
        finally:
            for message in list(self._messages):
                message.drop()

    def _begin(self, calls: tuple[Call, ...], rows: list[Row], back: WayBack) -> None:
        message = Message(calls, back, over=self._messages.discard)
        self._messages.add(message)
        remaining = iter(rows)
        for call in calls:
            match call:
                case Hear():
                    self._hear(message, call, next(remaining, None))
                case Speak(number):
                    follower = message.work_on(call, self._speak(message, call))
                    self._followers[number] = follower
                    follower.add_done_callback(partial(self._unfollowed, number))
                case _:
                    message.work_on(call, self._answer(call))

    def _unfollowed(self, number: int, _: asyncio.Task[None]) -> None:
        del self._followers[number]

    def _hear(self, message: Message, call: Hear, row: Row | None) -> None:
        try:
            if row is None:
                raise ValueError(f"chunk {call.index} of {call.session_id!r} came without tensors")
            features = Features(call.session_id, call.index, row, call.last)
            heard = self._engine.hear(features)
        except Exception as error:
            message.fail(call, error)
            return
        self._note(call.session_id)
        heard.add_done_callback(lambda heard: message.settle(call, heard))

    async def _speak(self, message: Message, call: Speak) -> Reply:
        async for piece in self._engine.speak(call.session_id, call.turn):
            self._note(call.session_id)
            message.reply(Said(call.call, piece))
        return Done(call.call)

    async def _answer(self, call: Call) -> Reply:
        match call:
            case Ping(number):
                return Pong(number, self._id, replace(self._engine.info, version=self._version))
            case Open(number, session_id, spec, past):
                next_index = await self._engine.open(session_id, spec, past)
                self._called[session_id] = time.monotonic()
                return Opened(number, next_index)
            case Unfollow(_, following):
                if follower := self._followers.get(following):
                    follower.cancel()
            case Instruct(_, session_id, text):
                self._note(session_id)
                await self._engine.instruct(session_id, text)
            case Cancel(_, session_id, turn):
                self._note(session_id)
                await self._engine.cancel(session_id, turn)
            case Close(_, session_id):
                self._called.pop(session_id, None)
                await self._engine.close(session_id)
        return Done(call.call)

    def _note(self, session_id: str) -> None:
        """Note that a session is in use."""
        if session_id in self._called:
            self._called[session_id] = time.monotonic()

    async def _sweep(self) -> None:
        """Give up, time and again, what nobody waits for."""
        while True:
            for message in [message for message in self._messages if message.gone]:
                message.drop()
            forgotten = time.monotonic() - self._idle_close_s
            for session_id in [s for s, called in self._called.items() if called < forgotten]:
                log.warning("session %s was forgotten; it is closed", session_id)
                del self._called[session_id]
                await self._engine.close(session_id)
            calls = sum(map(len, self._messages))
            self._measure(len(self._called), calls, self._engine.counts)
            await asyncio.sleep(SWEEP_S)
