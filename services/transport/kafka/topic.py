"""A topic on Kafka: the Topic and History ports."""

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Generic, TypeVar

from services.core.errors import BadRequest
from services.core.wire import Keyed, TopicType
from services.transport.port import Kept, Received

if TYPE_CHECKING:
    from services.transport.kafka.transport import KafkaTransport

M = TypeVar("M", bound=Keyed)

log = logging.getLogger(__name__)


class KafkaTopic(Generic[M]):
    """One topic, seen from one process. It may be made before its transport runs."""

    def __init__(self, transport: "KafkaTransport", topic: TopicType[M]) -> None:
        self._transport = transport
        self._topic = topic

    async def send(self, message: M) -> int:
        """Append a message; its position is its offset, plus one."""
        return await self._transport.outbox.send(
            self._topic.name, self._topic.key(message), self._topic.dump(message)
        )

    def subscribe(self, group: str) -> AsyncIterator[Received[M]]:
        """Follow the topic; the group is the one that the transport was made for."""
        return self._transport.inbox(self._topic, group).messages()

    async def read(self, session_id: str, since_unix_us: int) -> AsyncIterator[Kept[M]]:
        """Yield what is kept of a session (the History port). Unavailable."""
        name = self._transport.config.topic(self._topic.name)
        reading = self._transport.reader.read(name, session_id.encode(), since_unix_us)
        async with aclosing(reading):
            async for position, value in reading:
                try:
                    message = self._topic.load(value)
                except BadRequest as error:  # whoever follows the topic counts it
                    log.warning("skipped message %d of %s: %s", position, session_id, error)
                    continue
                yield Kept(position, message)
