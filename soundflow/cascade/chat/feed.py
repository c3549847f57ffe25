"""A one-way pipe of text from the thread that makes an answer to the one that waits for it."""

import queue
from collections.abc import Iterator
from threading import Event

# An Event wakes nobody who waits for something else, so a waiting reader looks at it this often.
CANCEL_POLL_S = 0.05


class Feed:
    """Carries pieces of text, then one end."""

    def __init__(self) -> None:
        self._queue: queue.Queue[str | Exception | None] = queue.Queue()

    def put(self, text: str) -> None:
        """Hand on a piece; an empty one is dropped."""
        if text:
            self._queue.put(text)

    def end(self, error: Exception | None = None) -> None:
        """Say that nothing follows; `error` is raised at the reader."""
        self._queue.put(error)

    def read(self, cancelled: Event) -> Iterator[str]:
        """Yield what arrives, until its end or until `cancelled` is set."""
        while not cancelled.is_set():
            try:
                piece = self._queue.get(timeout=CANCEL_POLL_S)
            except queue.Empty:
                continue
            if piece is None:
                return
            if isinstance(piece, Exception):
                raise piece
            yield piece
