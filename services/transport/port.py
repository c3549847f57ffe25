"""The transport's ports: topics that carry messages, what they kept, and the way to the caller."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from services.core.events import CallerEvent

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Received(Generic[M]):
    """A message, and what its consumer says of it: one of the two, once.

    done: its effect is durable. reject: it cannot be handled and is given up, for this reason; it
    is counted, and kept as a dead letter where the transport keeps any.
    """

    message: M
    done: Callable[[], None]
    reject: Callable[[Exception], None]


class Topic(Protocol[M]):
    """One stream of messages; those of one session stay in order.

    Delivery is at least once. `send` waits while the topic is full: backpressure is part of the
    contract. Each consumer group sees every message.
    """

    async def send(self, message: M) -> int:
        """Append a message and return its position; it is kept once this returns.

        Positions start at 1 and grow within a session. Unavailable when the transport cannot be
        reached for longer than it waits.
        """
        ...

    def subscribe(self, group: str) -> AsyncIterator[Received[M]]:
        """Follow the topic as a member of a consumer group."""
        ...


@dataclass(frozen=True, slots=True)
class Kept(Generic[M]):
    """A message that was sent before, and its position."""

    position: int
    message: M


class History(Protocol[M]):
    """What a topic has kept."""

    def read(self, session_id: str, since_unix_us: int) -> AsyncIterator[Kept[M]]:
        """Yield a session's messages in order, to the end as of this call.

        since_unix_us: messages sent earlier are left out; a few may come all the same.
        """
        ...


@dataclass(frozen=True, slots=True)
class Delivered:
    """An event on its way to the caller.

    told: its id is its position in the record.
    previous: the id of the session's event before it; 0 where its sender does not know.
    """

    told: CallerEvent
    previous: int = 0


class Delivery(Protocol):
    """The way from response back to the ingestion replica that holds the caller."""

    async def deliver(self, events: Sequence[Delivered]) -> None:
        """Hand events over in order. Never waits for the caller to read them."""
        ...


class Holders(Protocol):
    """The ingestion replicas that hold callers, by the address of their delivery service."""

    async def let_go(self, address: str, session_id: str, epoch: int) -> None:
        """Have a replica give up a session that was taken over from it. Unavailable."""
        ...
