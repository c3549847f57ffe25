"""A topic on Kafka: the Topic and History ports."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Generic, TypeVar

from services.core.wire import Keyed, TopicType
from services.transport.port import Kept, Received

if TYPE_CHECKING:
    from services.transport.kafka.transport import KafkaTransport

M = TypeVar("M", bound=Keyed)


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

    def read(self, session_id: str, since_unix_us: int) -> AsyncIterator[Kept[M]]:
        """Read a session's messages (the History port)."""
        raise NotImplementedError
