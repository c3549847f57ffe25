"""What this process knows of open sessions' records: an update's first guess, and a spare copy."""

import time
from collections import OrderedDict

from services.state.redis.records import Kept

KNOWN = 2048  # more sessions than one process works on; each more costs a round trip


class Known:
    """The records that were read or written last, none older than Redis would keep a closed one.

    So a session that is known here, and of which Redis has no record, is open and was lost there.
    """

    def __init__(self, kept_s: float) -> None:
        self._kept_s = kept_s
        self._records: OrderedDict[str, tuple[Kept, float]] = OrderedDict()

    def get(self, session_id: str) -> Kept | None:
        """Return what is known."""
        kept, since_s = self._records.get(session_id, (None, 0.0))
        if kept and time.monotonic() - since_s > self._kept_s:
            del self._records[session_id]
            return None
        return kept

    def put(self, kept: Kept) -> None:
        """Know a record; one that is closed is forgotten."""
        session_id = kept.record.session_id
        self._records.pop(session_id, None)
        if kept.record.closed:
            return
        self._records[session_id] = kept, time.monotonic()
        if len(self._records) > KNOWN:
            self._records.popitem(last=False)

    def forget(self, session_id: str) -> None:
        """Know nothing of a session."""
        self._records.pop(session_id, None)

    def newest(self, session_id: str, there: Kept | None) -> Kept | None:
        """Return what an update has to start from, given what Redis has now.

        Where that is less than is known here, Redis has lost writes: what is known goes on.
        """
        known = self.get(session_id)
        if known is None or (there and (there.record.closed or there.number >= known.number)):
            if there:
                self.put(there)
            return there
        return Kept(there.version if there else "", known.number, known.record)
