"""Both directions of a call at once, whatever the protocol: listen to a caller while telling it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

from services.core.errors import ProtocolBroken, SoundFlowError
from services.core.events import CallerEvent, CloseReason
from services.ingestion.call import Call


class CallerGone(Exception):
    """The caller vanished before the end; it may come back."""


class CallerLeft(CallerGone):
    """The caller hung up before the end, and will not come back."""


class CallerTooSlow(Exception):
    """The caller does not read the last events."""


async def converse(
    call: Call,
    listen: Coroutine[None, None, None],
    say: Callable[[CallerEvent], Awaitable[None]],
    *,
    read_grace_s: float | None,
) -> SoundFlowError | None:
    """Pass events to `say` until all sessions are over; return why, where no event says it.

    That is: what broke the protocol, or why the sessions were let go.
    listen: takes what the caller sends and ends when nothing more can come.
    CallerGone, from `listen` or `say`, at once; sessions that are open then stay so.
    CallerTooSlow when `say` still waits `read_grace_s` after the end; never where that is None.
    """
    listening = asyncio.create_task(_listen(call, listen))
    saying = asyncio.create_task(_say_all(call, say))
    ended = asyncio.create_task(call.ended())
    tasks = (listening, saying, ended)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if listening.done() and isinstance(listening.exception(), CallerGone):
            listening.result()
        await asyncio.wait({saying, ended}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({saying}, timeout=read_grace_s)
        if not saying.done():
            raise CallerTooSlow
        saying.result()
        if listening.done():
            listening.result()
        return call.broken or call.let_go
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def answer_faults(call: Call, request: Coroutine[None, None, None]) -> None:
    """Do what a caller asks; what is wrong with it becomes an event, and the call goes on."""
    try:
        await request
    except ProtocolBroken:
        raise
    except SoundFlowError as error:
        await call.complain(error)


async def _listen(call: Call, listen: Coroutine[None, None, None]) -> None:
    try:
        await listen
    except ProtocolBroken as error:
        call.broken = error  # first: the caller may have read its last event before all is closed
        await call.complain(error)
        await call.close(CloseReason.ERROR)
    except CallerLeft:
        await call.close(CloseReason.CLIENT_GONE)
        raise
    except CallerGone:
        raise
    except Exception:  # a fault of ours: the caller is not left waiting
        await call.close(CloseReason.ERROR)
        raise


async def _say_all(call: Call, say: Callable[[CallerEvent], Awaitable[None]]) -> None:
    async for event in call.events:
        await say(event)
