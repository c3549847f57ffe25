"""A session that this replica holds, and the way back to its caller."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from services.core.clock import unix_us
from services.core.errors import SoundFlowError
from services.ingestion.outbox import Outbox
from services.ingestion.told import Told
from services.transport.port import Delivered

WAITING_EVENTS = 1000  # behind what is read from the record; minutes of a session


@dataclass(slots=True)
class LiveSession:
    """One session, from its opening, or its caller's return, until this replica holds it no more.

    epoch: of the record, while it is ours; -1 before there is one.
    chunks: how many were accepted. finished: the last of them, too.
    resumable: a caller whose connection breaks may go on with it.
    told_unix_us: when the newest recorded event came; nothing that is missing is older.
    waiting: events that must not be told before what they come after; `behind` while there may be
        any. sending: the chunk on its way. lost: the connection broke, and the caller may be back.
    ended: closed, or let go: then `let_go` says why.
    """

    session_id: str
    outbox: Outbox
    channel: int = 0
    epoch: int = -1
    resumable: bool = True
    chunks: int = 0
    finished: bool = False
    told: Told = field(default_factory=Told)
    told_unix_us: int = field(default_factory=unix_us)
    waiting: deque[Delivered] = field(default_factory=deque)
    behind: bool = False
    sending: asyncio.Task[None] | None = None
    lost: bool = False
    let_go: SoundFlowError | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def turns(self) -> int:
        """How many turns were begun."""
        return self.told.newest_turn

    async def sent(self) -> None:
        """Wait until the chunk that is on its way has arrived."""
        if self.sending:
            await asyncio.wait([self.sending])
