"""Where messages go that nobody can handle: as they arrived, with the reason and where from."""

import logging
from typing import Any, Protocol

from faust.types import EventT

from services.core import metrics
from services.core.wire import DEAD_LETTERS
from services.transport.kafka.outbox import Headers

log = logging.getLogger(__name__)

_REASON_CHARS = 1000  # an error may quote all of a message, which is in the letter anyway


class _Send(Protocol):
    async def __call__(self, name: str, key: bytes, value: bytes, headers: Headers) -> int: ...


class DeadLetters:
    """Keeps what a consumer group gives up."""

    def __init__(self, group: str, prefix: str, send: _Send) -> None:
        self._group = group
        self._prefix = f"{prefix}."
        self._send = send

    async def bury(self, event: EventT[Any], error: Exception) -> None:
        """Count a message and keep it; it is kept once this returns."""
        message = event.message
        reason = f"{type(error).__name__}: {error}"[:_REASON_CHARS]
        metrics.MESSAGES_REJECTED.labels(self._group).inc()
        metrics.DEAD_LETTERS.labels(self._bare(message.topic), type(error).__name__).inc()
        log.error(
            "%s gave up message %d of %s-%d: %s",
            self._group,
            message.offset,
            message.topic,
            message.partition,
            reason,
        )
        where = {
            "reason": reason,
            "topic": message.topic,
            "partition": message.partition,
            "offset": message.offset,
            "group": self._group,
        }
        headers = [(name, str(value).encode()) for name, value in where.items()]
        await self._send(DEAD_LETTERS, message.key or b"", message.value or b"", headers)

    def _bare(self, topic: str) -> str:
        return topic.removeprefix(self._prefix)
