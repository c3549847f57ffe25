"""What perception carries of each session from chunk to chunk: the port, and one process's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Carried:
    """state: the encoder's, as the encoder writes it. next_index: the chunk that it waits for."""

    state: bytes
    next_index: int


class CarriedStates(Protocol):
    """Carried states by session, of those sessions whose audio comes to this replica.

    Where replicas share the work, a state moves with its session's audio. A change is durable
    before a later acknowledgement of the message that it came from.
    """

    def __len__(self) -> int:
        """How many sessions carry something here."""
        ...

    def sessions(self) -> Sequence[str]:
        """Return which sessions do, as of now."""
        ...

    def get(self, session_id: str) -> Carried | None:
        """Return what a session carries; None before its first chunk and after its end."""
        ...

    def put(self, session_id: str, carried: Carried) -> None:
        """Replace what a session carries."""
        ...

    def drop(self, session_id: str) -> None:
        """Forget a session; one that is not known is no error."""
        ...


class MemoryCarriedStates:
    """A dictionary."""

    def __init__(self) -> None:
        self._states: dict[str, Carried] = {}

    def __len__(self) -> int:
        return len(self._states)

    def sessions(self) -> Sequence[str]:
        """Return which sessions carry something."""
        return list(self._states)

    def get(self, session_id: str) -> Carried | None:
        """Return what a session carries."""
        return self._states.get(session_id)

    def put(self, session_id: str, carried: Carried) -> None:
        """Replace what a session carries."""
        self._states[session_id] = carried

    def drop(self, session_id: str) -> None:
        """Forget a session."""
        self._states.pop(session_id, None)
