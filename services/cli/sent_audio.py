"""What was sent last, kept so that it can be sent again after the connection broke."""

from collections import deque
from dataclasses import dataclass, field

from soundflow.audio import AudioFormat

KEPT_MS = 30_000


@dataclass(slots=True)
class SentAudio:
    """The newest audio, by its place in the session.

    The session's time runs ahead of the audio by the gaps in which the platform heard silence.
    end: bytes so far. gaps: where silence was put in, and how long, in milliseconds.
    """

    audio_format: AudioFormat
    kept_ms: int = KEPT_MS
    end: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)
    _pieces: deque[bytes] = field(default_factory=deque)
    _kept_from: int = 0

    def append(self, audio: bytes) -> None:
        """Keep a piece; the oldest ones are forgotten."""
        self._pieces.append(audio)
        self.end += len(audio)
        kept_bytes = self._bytes(self.kept_ms)
        while self.end - self._kept_from - len(self._pieces[0]) >= kept_bytes:
            self._kept_from += len(self._pieces.popleft())

    def since(self, place: int, limit: int) -> tuple[int, bytes]:
        """Return up to `limit` bytes from this byte on, of all that was sent; and where they end.

        What is kept no more is left out.
        """
        at, found = self._kept_from, bytearray()
        place = max(place, at)
        for piece in self._pieces:
            found += piece[max(0, place - at) :] if at + len(piece) > place else b""
            at += len(piece)
            if len(found) >= limit:
                break
        return place + len(found[:limit]), bytes(found[:limit])

    def note_gap(self, start_ms: int, end_ms: int) -> None:
        """Learn that the platform put silence into the session."""
        self.gaps.append((start_ms, end_ms - start_ms))

    def place(self, session_ms: int) -> int:
        """Return which byte of all that was sent lies there in the session.

        A place after all that was sent can only come from a gap that nobody has told of.
        """
        before = [(at, length) for at, length in self.gaps if at < session_ms]
        filled_ms = sum(min(length, session_ms - at) for at, length in before)
        place = self._bytes(session_ms - filled_ms)
        if place > self.end:
            sent_ms = self.end * 1000 // self._bytes(1000) + filled_ms
            self.note_gap(sent_ms, session_ms)
        return min(place, self.end)

    def _bytes(self, length_ms: int) -> int:
        frames = length_ms * self.audio_format.sample_rate_hz // 1000
        return frames * self.audio_format.frame_bytes
