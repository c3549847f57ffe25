"""Session records in one process: for `make run` and for tests."""

from collections import OrderedDict
from collections.abc import Callable

from services.core.errors import SessionExists, SessionUnknown
from services.state.port import SessionRecord


class MemorySessionStore:
    """A dictionary of records; closed ones are kept until `kept_closed` newer ones have closed."""

    def __init__(self, *, kept_closed: int = 1000) -> None:
        self._records: dict[str, SessionRecord] = {}
        self._closed: OrderedDict[str, None] = OrderedDict()
        self._kept_closed = kept_closed

    async def create(self, record: SessionRecord) -> None:
        """Keep a new record."""
        if record.session_id in self._records:
            raise SessionExists(record.session_id)
        self._records[record.session_id] = record

    async def get(self, session_id: str) -> SessionRecord:
        """Return a record."""
        try:
            return self._records[session_id]
        except KeyError:
            raise SessionUnknown(session_id) from None

    async def update(
        self, session_id: str, change: Callable[[SessionRecord], SessionRecord]
    ) -> SessionRecord:
        """Replace a record by what `change` makes of it."""
        record = change(await self.get(session_id))
        self._records[session_id] = record
        if record.closed:
            self._closed[session_id] = None
            self._forget_old()
        return record

    def _forget_old(self) -> None:
        while len(self._closed) > self._kept_closed:
            session_id, _ = self._closed.popitem(last=False)
            del self._records[session_id]
