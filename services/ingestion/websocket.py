"""The WebSocket face: `/v1/stream`, JSON and binary audio in, JSON events out (README.md)."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from aiohttp.http import WebSocketError

from services.core import metrics
from services.core.errors import (
    HandedOver,
    Overloaded,
    ProtocolBroken,
    ShuttingDown,
    SoundFlowError,
    Unavailable,
)
from services.core.events import CallerEvent, to_json
from services.ingestion.call import Call
from services.ingestion.conversation import (
    CallerGone,
    CallerLeft,
    CallerTooSlow,
    answer_faults,
    converse,
)
from services.ingestion.inbox import Inbox
from services.ingestion.requests import (
    AudioEndRequest,
    CancelRequest,
    FirstRequest,
    InstructRequest,
    OpenRequest,
    ResumeRequest,
    StreamRequest,
    TimestampRequest,
    parse_stream,
)
from services.ingestion.resuming import Claim
from services.ingestion.service import IngestionService
from services.state.port import Fenced
from soundflow.interaction import SessionSpec

# A message that is this much over the limit is not even read to its end.
READ_LIMIT_FACTOR = 4

_HUNG_UP = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)
_FAREWELLS = (WSCloseCode.OK, WSCloseCode.GOING_AWAY)


@dataclass(frozen=True, slots=True)
class WebSocketFace:
    """Holds one call for each connection."""

    ingestion: IngestionService

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        """Hold a call to its end. Overloaded and Unavailable come before the upgrade."""
        self.ingestion.check_entry()
        config = self.ingestion.config
        socket = web.WebSocketResponse(
            autoping=False,  # `_receive` must see the answers to its pings
            timeout=config.read_grace_s,
            max_msg_size=config.max_message_bytes * READ_LIMIT_FACTOR,
        )
        await socket.prepare(request)
        try:
            await socket.close(code=await self._serve(socket))
        except (CallerGone, CallerTooSlow):
            if request.transport:
                request.transport.abort()  # a farewell would wait for a caller that reads nothing
        return socket

    async def _serve(self, socket: web.WebSocketResponse) -> int:
        """Hold the call, and return the code to close the connection with."""
        try:
            return await self._hold_call(socket, await self._opening(socket))
        except SoundFlowError as error:
            metrics.REQUEST_ERRORS.labels(error.code).inc()
            refusal = {"type": "error", "code": error.code, "message": error.message}
            await _send(socket, json.dumps(refusal))
            return _close_code(error)

    async def _opening(self, socket: web.WebSocketResponse) -> FirstRequest:
        within_s = self.ingestion.config.open_within_s
        try:
            async with asyncio.timeout(within_s):
                message = await self._receive(socket)
        except TimeoutError:
            raise ProtocolBroken(
                "no_open", f"no session.open came within {within_s:g} s of the connection"
            ) from None
        if message.type is WSMsgType.TEXT:
            request = self._parse(message.data)
            if isinstance(request, FirstRequest):
                return request
        raise ProtocolBroken(
            "no_open", "the first message must be a session.open or a session.resume, as text"
        )

    async def _hold_call(self, socket: web.WebSocketResponse, opening: FirstRequest) -> int:
        call = Call(
            self.ingestion,
            _wanted(opening),
            opening.audio.format(),
            face="websocket",
            split_channels=opening.audio.layout == "split",
        )

        async def say(told: CallerEvent) -> None:
            await _send(socket, json.dumps(to_json(told)))

        async with call:
            broken = await converse(
                call,
                self._listen(call, socket),
                say,
                read_grace_s=self.ingestion.config.read_grace_s,
            )
        return _close_code(broken) if broken else WSCloseCode.OK

    async def _listen(self, call: Call, socket: web.WebSocketResponse) -> None:
        """Take what the caller sends, and go on reading while the call waits with some of it."""
        inbox = Inbox(limit_bytes=self.ingestion.config.max_message_bytes)
        tasks = (
            asyncio.create_task(self._read(call, socket, inbox)),
            asyncio.create_task(self._take(call, inbox)),
        )
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, call: Call, socket: web.WebSocketResponse, inbox: Inbox) -> None:
        try:
            while True:
                await inbox.put(await self._receive(socket))
        except CallerLeft:
            call.part()  # before the connection's end can cancel what follows
            raise

    async def _take(self, call: Call, inbox: Inbox) -> None:
        timestamp_ms: int | None = None
        while True:
            message = await inbox.get()
            if message.type is WSMsgType.BINARY:
                await answer_faults(call, call.push(message.data, timestamp_ms))
                timestamp_ms = None
                continue
            request = self._parse(message.data)
            if isinstance(request, TimestampRequest):
                timestamp_ms = request.timestamp_ms
                continue
            await answer_faults(call, _obey(call, request))

    def _parse(self, text: str) -> StreamRequest:
        limit_bytes = self.ingestion.config.max_message_bytes
        if len(text) > limit_bytes:
            raise ProtocolBroken(
                "message_too_large", f"one message may have {limit_bytes} bytes, got {len(text)}"
            )
        return parse_stream(text)

    async def _receive(self, socket: web.WebSocketResponse) -> WSMessage:
        """Return the next text or binary message.

        CallerLeft when the caller says goodbye. CallerGone when the connection breaks, or the
        caller sends nothing and leaves a ping unanswered.
        """
        interval_s = self.ingestion.config.ping_interval_s
        pinged = False
        while True:
            try:
                message = await socket.receive(timeout=interval_s)
            except TimeoutError:
                if pinged:
                    raise CallerGone from None
                pinged = True
                await _ping(socket, within_s=interval_s)
                continue
            pinged = False
            if message.type in _HUNG_UP:
                raise CallerLeft if _was_meant(message) else CallerGone
            if message.type is WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is not WSMsgType.PONG:
                return message


def _wanted(opening: FirstRequest) -> SessionSpec | Sequence[Claim]:
    if isinstance(opening, ResumeRequest):
        return [session.claim() for session in opening.sessions]
    return opening.spec()


async def _obey(call: Call, request: StreamRequest) -> None:
    match request:
        case InstructRequest(text=text):
            await call.instruct(text)
        case CancelRequest(turn=turn):
            await call.cancel(turn)
        case AudioEndRequest():
            await call.finish()
        case OpenRequest() | ResumeRequest():
            raise ProtocolBroken(
                "second_open", "type: the session is open; connect again for another one"
            )


def _was_meant(message: WSMessage) -> bool:
    """Tell a caller's farewell, or one that breaks the protocol, from a broken connection."""
    if message.type is WSMsgType.ERROR:
        return isinstance(message.data, WebSocketError)
    return message.type is WSMsgType.CLOSE and message.data in _FAREWELLS


async def _send(socket: web.WebSocketResponse, text: str) -> None:
    try:
        await socket.send_str(text)
    except ConnectionError as error:
        raise CallerGone from error


async def _ping(socket: web.WebSocketResponse, *, within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            await socket.ping()
    except (ConnectionError, TimeoutError) as error:
        raise CallerGone from error


def _close_code(error: SoundFlowError) -> int:
    match error:
        case HandedOver():
            return WSCloseCode.SERVICE_RESTART
        case ShuttingDown() | Fenced():
            return WSCloseCode.GOING_AWAY
        case Overloaded() | Unavailable():
            return WSCloseCode.TRY_AGAIN_LATER
        case SoundFlowError(code="message_too_large"):
            return WSCloseCode.MESSAGE_TOO_BIG
        case _:
            return WSCloseCode.POLICY_VIOLATION
