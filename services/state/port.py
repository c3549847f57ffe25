"""The session store's port: what a session is, and all that is needed to rebuild it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from soundflow.interaction import PastTurn, SessionSpec

KEPT_TURNS = 16  # what a rebuilt session remembers; older turns are in the responses topic


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session.

    last_index: the newest chunk that a decision covers; -1 before the first.
    turns: the last KEPT_TURNS finished turns, oldest first.
    closed: "" while open, then the reason.
    """

    session_id: str
    spec: SessionSpec
    opened_unix_us: int
    last_index: int = -1
    turns: tuple[PastTurn, ...] = ()
    closed: str = ""


class SessionStore(Protocol):
    """Session records by id. Never audio, features or model state."""

    async def create(self, record: SessionRecord) -> None:
        """Keep a new record; SessionExists when the id is taken."""
        ...

    async def get(self, session_id: str) -> SessionRecord:
        """Return the record; SessionUnknown when there is none."""
        ...

    async def update(
        self, session_id: str, change: Callable[[SessionRecord], SessionRecord]
    ) -> SessionRecord:
        """Replace the record by `change(record)` and return it.

        `change` may be called again when another writer came first. SessionUnknown when there is
        no record.
        """
        ...
