"""One stream to one decoder replica, for all calls of all sessions; it breaks once, for good."""

import asyncio
import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from typing import Any

import grpc
import numpy as np
from tritonclient.utils import InferenceServerException

from services.inference.config import InferenceConfig
from services.inference.port import ReplicaLost
from services.inference.triton_versions import place_of
from services.inference.triton_wire import RowCheck, connect, inputs
from soundflow.features import Tensor
from soundflow.serving.calls import CALLS, REPLIES, Call, Ping, Pong, Refused, Reply, Said
from soundflow.serving.tensors import signature, stacked

log = logging.getLogger(__name__)

MODEL = "decoder"
MOST_CALLS = 64  # in one message

# Told every reply to a call, or the error that ends it.
Answer = Callable[[Reply | ReplicaLost], None]
Row = Mapping[str, Tensor]


class _Broken(Exception):
    """The stream cannot be used any more."""


class DecoderStream:
    """Sends calls as they come; those that come close together go in one message.

    numbers: of calls; no two clients of a server have the same.
    alive: told once the server has answered. Calls that are sent before that wait for it.
    """

    def __init__(
        self,
        replica: str,
        config: InferenceConfig,
        numbers: Iterator[int],
        alive: Callable[[Pong], None],
    ) -> None:
        self._replica = replica
        self._address, version = place_of(replica)
        self._version = str(version or "")
        self._ping_s, self._silent_s = config.decoder_ping_s, config.decoder_silent_s
        self._numbers = numbers
        self._alive = alive
        self._engine = ""
        self._answers: dict[int, Answer] = {}
        self._waiting: deque[tuple[Call, Row | None]] = deque()
        self._wake = asyncio.Event()
        self._broken = ""

    async def run(self) -> str:
        """Work until the stream breaks, and say why; by then every call was told."""
        why = "it is not used any more"
        try:
            await self._live()
        except (_Broken, InferenceServerException, grpc.RpcError, ValueError) as error:
            why = _reason(error)
        except Exception as error:  # whatever it is, another stream may do better
            log.exception("the stream to %s broke", self._replica)
            why = repr(error)
        finally:
            self._broken = why
            self._wake.set()  # so that its messages end
            answers, self._answers = self._answers, {}
            for answer in answers.values():
                answer(ReplicaLost(self._replica, why))
        return why

    def send(self, call: Call, row: Row | None, answer: Answer) -> None:
        """Send a call, with its row of tensors if it has one. Raises ReplicaLost."""
        if self._broken:
            raise ReplicaLost(self._replica, self._broken)
        self._answers[call.call] = answer
        self._waiting.append((call, row))
        self._wake.set()

    def forget(self, number: int) -> None:
        """Tell nobody of a call's replies any more."""
        self._answers.pop(number, None)

    async def _live(self) -> None:
        client = connect(self._address)
        try:
            if not await client.is_model_ready(MODEL, self._version, client_timeout=self._silent_s):
                raise _Broken("its decoder is not ready")
            check = await RowCheck.of(client, MODEL, self._version, self._silent_s)
            responses = client.stream_infer(self._messages(check))
            try:
                await _until_one_ends(self._read(responses), self._ping())
            finally:
                responses.cancel()
        finally:
            await client.close()

    async def _messages(self, check: RowCheck) -> AsyncIterator[dict[str, Any]]:
        while await self._wake.wait() and not self._broken:
            calls, rows = self._next_message(check)
            if calls:
                arrays = {"calls": np.array([CALLS.dump_json(tuple(calls))], object)}
                yield {
                    "model_name": MODEL,
                    "model_version": self._version,
                    "inputs": inputs(arrays | stacked(rows)),
                }
                await asyncio.sleep(0)  # what is sent just now shares the next message

    def _next_message(self, check: RowCheck) -> tuple[list[Call], list[Row]]:
        """Take calls from those that wait, as long as their tensors are alike."""
        calls: list[Call] = []
        rows: list[Row] = []
        while self._waiting and len(calls) < MOST_CALLS:
            call, row = self._waiting[0]
            misfit = row is not None and check.misfit(row)
            if misfit:
                self._hand_out(Refused(call.call, ValueError.__name__, misfit))
            elif row is not None and rows and signature(row) != signature(rows[0]):
                break
            else:
                calls.append(call)
                rows += [] if row is None else [row]
            self._waiting.popleft()
        if not self._waiting:
            self._wake.clear()
        return calls, rows

    async def _read(self, responses: AsyncIterator[Any]) -> None:
        async for result, error in responses:
            if error:
                raise error
            for reply in REPLIES.validate_json(result.as_numpy("replies")[0]):
                self._hand_out(reply)
        raise _Broken("it has ended the stream")

    def _hand_out(self, reply: Reply) -> None:
        goes_on = isinstance(reply, Said)
        answer = self._answers.get(reply.call) if goes_on else self._answers.pop(reply.call, None)
        if answer:
            answer(reply)

    async def _ping(self) -> None:
        """Ask again and again whether the engine lives, and whether it is the same as ever."""
        while True:
            pong: asyncio.Future[Reply | ReplicaLost] = asyncio.get_running_loop().create_future()
            self.send(Ping(next(self._numbers)), None, pong.set_result)
            # By turns: a time for which this process itself was held up counts as one.
            for _ in range(math.ceil(self._silent_s / self._ping_s)):
                await asyncio.wait([pong], timeout=self._ping_s)
            if not pong.done():
                raise _Broken(f"it has not answered for {self._silent_s:g} s")
            self._recognise(pong.result())
            await asyncio.sleep(self._ping_s)

    def _recognise(self, pong: Reply | ReplicaLost) -> None:
        if not isinstance(pong, Pong):
            raise _Broken(f"it does not answer a ping but says {pong}")
        if self._engine and self._engine != pong.engine:
            raise _Broken("its engine was started anew")
        if not self._engine:
            self._engine = pong.engine
            self._alive(pong)


async def _until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Raise what the first one raises that ends."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        ended = done.pop()
        if ended.cancelled():  # by gRPC, where a message could not be made
            raise _Broken("what was to be sent could not be written")
        ended.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _reason(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return error.details() or error.code().name
    if isinstance(error, InferenceServerException):
        return str(error.message())
    return str(error)
