"""The transport's ports: topics that carry messages, and the way back to the caller."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from services.core.events import CallerEvent

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Received(Generic[M]):
    """A message and its acknowledgement: call `done` once its effect is durable."""

    message: M
    done: Callable[[], None]


class Topic(Protocol[M]):
    """One stream of messages; those of one session stay in order.

    Delivery is at least once. `send` waits while the topic is full: backpressure is part of the
    contract. Each consumer group sees every message.
    """

    async def send(self, message: M) -> None:
        """Append a message; it is kept once this returns."""
        ...

    def subscribe(self, group: str) -> AsyncIterator[Received[M]]:
        """Follow the topic as a member of a consumer group."""
        ...


class Delivery(Protocol):
    """The way from response back to the ingestion replica that holds the caller."""

    async def deliver(self, events: Sequence[CallerEvent]) -> None:
        """Hand events over in order. Never waits for the caller to read them."""
        ...
