"""The session store's port: what a session is, and all that is needed to rebuild it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from services.core.errors import SoundFlowError
from soundflow.interaction import OpenTurn, PastTurn, SessionSpec

KEPT_TURNS = 16  # what a rebuilt session remembers; older turns are in the responses topic


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session.

    owner, epoch: the ingestion replica that holds the caller, as the address of its delivery
        service, and how often the session changed hands: a fencing token.
    token_sha256: of the token by which the caller resumes.
    decoder: the replica that holds the model's state; "" before the first chunk.
    last_index: the newest chunk that a decision covers; -1 before the first.
    window_start, window_unix_us: the oldest chunk that the model's state depends on, and when its
        last sample arrived, or earlier: from there features are replayed into a rebuilt decoder.
    memory: what the decoder must know beside those features; only a decoder reads it.
    open_turns: those that a decision has opened and that are not finished.
    turns: the last KEPT_TURNS finished turns, oldest first.
    updated_unix_us: when the record was last written.
    closed: "" while open, then the reason.
    """

    session_id: str
    spec: SessionSpec
    opened_unix_us: int
    owner: str = ""
    epoch: int = 0
    token_sha256: str = ""
    decoder: str = ""
    last_index: int = -1
    window_start: int = 0
    window_unix_us: int = 0
    memory: str = ""
    open_turns: tuple[OpenTurn, ...] = ()
    turns: tuple[PastTurn, ...] = ()
    updated_unix_us: int = 0
    closed: str = ""

    @property
    def known_turns(self) -> frozenset[int]:
        """The numbers of the turns known of: those that are open, and the last finished ones."""
        turns: tuple[OpenTurn | PastTurn, ...] = (*self.turns, *self.open_turns)
        return frozenset(turn.turn for turn in turns)

    @property
    def newest_turn(self) -> int:
        """The newest turn known of; 0 before the first."""
        return max(self.known_turns, default=0)


class Fenced(SoundFlowError):
    """Another replica has taken the session over; who holds an older epoch must let go."""

    def __init__(self, session_id: str) -> None:
        super().__init__(
            "session_moved", f"session {session_id!r} goes on elsewhere; resume it there"
        )


class RecordBroken(SoundFlowError):
    """What the store has under a session's id is no record that this version can read."""

    def __init__(self, session_id: str, reason: str) -> None:
        super().__init__(
            "record_broken", f"the record of session {session_id!r} is not readable; open a new one"
        )
        self.add_note(reason)  # for the log; it may quote the record, which is not the caller's


class SessionStore(Protocol):
    """Session records by id. Never audio, features or model state.

    Every call raises Unavailable, soon, when the store cannot be reached. A record that is not
    readable is RecordBroken to those who ask for it, and nothing to the others.
    """

    async def create(self, record: SessionRecord) -> None:
        """Keep a new record, with a lease. SessionExists when the id is taken.

        Overloaded when as many sessions are open on the whole platform as it has room for: exact,
        whoever else creates at the same moment.
        """
        ...

    async def get(self, session_id: str) -> SessionRecord:
        """Return the record; SessionUnknown when there is none."""
        ...

    async def update(
        self,
        session_id: str,
        change: Callable[[SessionRecord], SessionRecord],
        *,
        epoch: int | None = None,
    ) -> SessionRecord:
        """Replace the record by `change(record)` and return it.

        `change` may be called again when another writer came first, or on what it returned when
        the answer to an earlier call was lost: twice must be as once. What it raises is passed on,
        and nothing is written. A record that becomes closed gives its place back; one that changes
        hands has a new lease.
        epoch: Fenced when the record has another. SessionUnknown when there is no record.
        """
        ...

    async def renew(self, epochs: Mapping[str, int]) -> frozenset[str]:
        """Extend the leases of open sessions, by id and epoch.

        To be called three times in a lease, or more often, and again soon where it failed.
        Return those that are no longer the caller's: taken over, closed, or unknown.
        """
        ...

    async def expired(self) -> Mapping[str, int]:
        """Take open sessions whose lease ran out, and their epochs; each is given to one caller.

        It closes them by an update with that epoch: Fenced where somebody has just resumed. One
        that its taker does not close is given out again after another lease.
        After a time in which nobody could renew, none expires for a whole lease.
        """
        ...
