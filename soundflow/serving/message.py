"""One message of calls under work: its replies go back together, as many as there are by then."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from soundflow.engine_session import Heard
from soundflow.serving.calls import REPLIES, Answered, Call, Done, Refused, Reply, named

Replies = TypeVar("Replies", bound=bytes | None)

log = logging.getLogger(__name__)


class WayBack(Protocol):
    """How one message is answered."""

    def send(self, replies: bytes) -> None:
        """Send some replies; others follow."""
        ...

    def end(self, replies: bytes | None) -> None:
        """Send the last replies, if there are any."""
        ...

    def gone(self) -> bool:
        """Whether nobody waits for them any more."""
        ...


class Message:
    """Use it on one event loop. over: told when its last call is."""

    def __init__(
        self, calls: Sequence[Call], back: WayBack, over: Callable[["Message"], None]
    ) -> None:
        self._open = {call.call for call in calls}
        self._back = back
        self._over = over
        self._tasks: set[asyncio.Task[None]] = set()
        self._replies: list[Reply] = []
        self._flushing = False

    def __len__(self) -> int:
        """Return how many calls are open."""
        return len(self._open)

    @property
    def gone(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._back.gone()

    def work_on(self, call: Call, work: Coroutine[Any, Any, Reply]) -> asyncio.Task[None]:
        """Answer a call with what `work` returns or raises; done where the task is cancelled."""
        task = asyncio.create_task(self._answer(call, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def settle(self, call: Call, heard: asyncio.Future[Heard]) -> None:
        """Answer a call with what the engine heard."""
        if heard.cancelled():
            self.finish(Done(call.call))
        elif error := heard.exception():
            self.fail(call, error)
        else:
            self.finish(Answered(call.call, heard.result()))

    def fail(self, call: Call, error: BaseException) -> None:
        """Answer a call with its error."""
        self.finish(Refused(call.call, named(error), str(error)))

    def finish(self, reply: Reply) -> None:
        """Give the last reply to a call."""
        self._open.discard(reply.call)
        self.reply(reply)

    def reply(self, reply: Reply) -> None:
        """Give a reply to a call."""
        self._replies.append(reply)
        if not self._flushing:  # what else this turn of the loop brings goes along
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def drop(self) -> None:
        """Give all its calls up."""
        for task in self._tasks:
            task.cancel()
        self._replies.clear()
        self._end(None)

    async def _answer(self, call: Call, work: Coroutine[Any, Any, Reply]) -> None:
        try:
            self.finish(await work)
        except asyncio.CancelledError:
            self.finish(Done(call.call))
            raise
        except Exception as error:
            self.fail(call, error)

    def _flush(self) -> None:
        self._flushing = False
        if not self._replies:
            return
        replies = REPLIES.dump_json(self._replies)
        self._replies = []
        if self._open:
            self._attempt(self._back.send, replies)
        else:
            self._end(replies)

    def _end(self, replies: bytes | None) -> None:
        back, self._back = self._back, _NOBODY
        self._attempt(back.end, replies)
        self._over(self)

    def _attempt(self, send: Callable[[Replies], None], replies: Replies) -> None:
        try:
            send(replies)
        except Exception:  # the server itself is in trouble; the other messages go on
            log.exception("replies could not be sent")


class _Nobody:
    """Where the replies go of a message that has ended."""

    def send(self, replies: bytes) -> None:
        """Send nothing."""

    def end(self, replies: bytes | None) -> None:
        """Do nothing."""

    def gone(self) -> bool:
        """Nobody waits."""
        return True


_NOBODY = _Nobody()
