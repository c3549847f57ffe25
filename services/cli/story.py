"""What a stream's events mean to a person: lines that stay, and text that may still change."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.core.events import (
    CallerEvent,
    Gap,
    Overran,
    ResponseEnded,
    ResponseStarted,
    ResponseText,
    SessionClosed,
    SessionResumed,
)
from soundflow.audio import CHUNK_MS
from soundflow.interaction import EndReason, Kind


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the account. `label` is a turn's kind, `gap`, `overrun` or `resumed`."""

    at_ms: int
    channel: int
    label: str
    text: str


@dataclass(slots=True)
class Turn:
    """A turn as far as it is known. `pieces`: the newest text of each sequence."""

    kind: Kind
    channel: int
    end_of_chunk_ms: int
    pieces: dict[int, ResponseText] = field(default_factory=dict)

    @property
    def in_order(self) -> Sequence[ResponseText]:
        """The pieces that make up the text."""
        return [self.pieces[sequence] for sequence in sorted(self.pieces)]

    @property
    def at_ms(self) -> int:
        """Where the turn's first word was spoken; else the end of the chunk that it answers."""
        words = [word for piece in self.pieces.values() for word in piece.words]
        return min((word.start_ms for word in words), default=self.end_of_chunk_ms)

    def line(self, note: str = "") -> Line:
        """Put the whole text on a line, with a note behind it."""
        text = "".join(piece.text for piece in self.in_order)
        words = [*text.split(), note]  # a text's own line breaks would break the account's lines
        return Line(self.at_ms, self.channel, self.kind.value, " ".join(words).strip())


@dataclass(slots=True)
class Story:
    """Fold events into lines. `open_turns`: what is being said now, in order of its start."""

    open_turns: dict[tuple[str, int], Turn] = field(default_factory=dict)

    def take(self, told: CallerEvent) -> list[Line]:
        """Return the lines that are complete now and will not change."""
        match told.event:
            case ResponseStarted(turn, chunk, kind):
                started = Turn(kind, told.channel, (chunk + 1) * CHUNK_MS)
                self.open_turns[told.session_id, turn] = started
            case ResponseText(turn) as text:
                self.open_turns[told.session_id, turn].pieces[text.sequence] = text
            case ResponseEnded(turn, reason):
                return self._end(told.session_id, turn, reason)
            case SessionResumed(chunk=chunk, chunk_ms=chunk_ms):
                again = "the connection was lost and is back; what was missed follows"
                return [Line(chunk * chunk_ms, told.channel, "resumed", again)]
            case Gap(start_ms, end_ms):
                missing = f"no audio for {seconds(end_ms - start_ms)}, heard as silence"
                return [Line(start_ms, told.channel, "gap", missing)]
            case Overran(start_ms, end_ms):
                dropped = f"{seconds(end_ms - start_ms)} went unheard: the platform is too busy"
                return [Line(start_ms, told.channel, "overrun", dropped)]
            case SessionClosed():
                mine = [
                    turn for session_id, turn in self.open_turns if session_id == told.session_id
                ]
                ended = [self._end(told.session_id, turn, EndReason.INTERRUPTED) for turn in mine]
                return [line for lines in ended for line in lines]
        return []

    def _end(self, session_id: str, turn: int, reason: EndReason) -> list[Line]:
        note = "" if reason is EndReason.COMPLETE else f"[{reason.value}]"
        line = self.open_turns.pop((session_id, turn)).line(note)
        return [line] if line.text else []  # a turn may take all its text back


def clock(at_ms: int) -> str:
    """Write a place in the session, to a tenth of a second."""
    minutes, tenths = divmod(at_ms // 100, 600)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:" if hours else ""
    return f"{start}{minutes:02}:{tenths / 10:04.1f}"


def seconds(length_ms: int) -> str:
    """Write a length of time."""
    return f"{length_ms / 1000:.1f} s"
