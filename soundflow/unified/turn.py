"""One turn while it is said: its tokens, and the text that is given out of them."""

from dataclasses import dataclass, field

from soundflow.interaction import EndReason, Piece, TurnStart
from soundflow.unified.settings import UnifiedSettings
from soundflow.unified.tokens import ControlTokens, TextStream


@dataclass(slots=True)
class Turn:
    """Grows by a token at a time.

    known: its whole text, where it was said before and the session is only rebuilt.
    """

    start: TurnStart
    control: ControlTokens
    settings: UnifiedSettings
    stream: TextStream
    known: str | None = None
    tokens: list[int] = field(default_factory=list)
    over: bool = False
    cancelled: bool = False
    _said: str = ""
    _unsaid: str = ""
    _unsaid_tokens: int = 0
    _sequence: int = 0

    def is_odd(self, token: int) -> bool:
        """Whether this is a control token that has no place here."""
        if token not in self.control.ids or token == self.control.text_end:
            return False
        return bool(self.tokens) or token not in self.control.emotions

    def add(self, token: int) -> None:
        """Take what the model says next; the turn may be over with it."""
        if token == self.control.text_end:
            self.over = True
            return
        added = self.stream.add(token)
        if self.known is not None and self._knows_better(self._said + self._unsaid + added):
            self.over = True
            return
        self.tokens.append(token)
        self._unsaid += added
        self._unsaid_tokens += 1
        self.over = len(self.tokens) >= self.settings.reply_tokens

    def pieces(self) -> tuple[Piece, ...]:
        """Return the text that is due, if any."""
        if not self._unsaid or (
            self._sequence and self._unsaid_tokens < self.settings.piece_tokens
        ):
            return ()
        piece = Piece(self.start.turn, self._sequence, self._unsaid)
        self._said += self._unsaid
        self._unsaid, self._unsaid_tokens = "", 0
        self._sequence += 1
        return (piece,)

    def end(self, reason: EndReason) -> tuple[Piece, ...]:
        """Return the rest of the text, and the end."""
        self._unsaid += self.stream.end()
        self._unsaid_tokens = self.settings.piece_tokens
        return (*self.pieces(), Piece(self.start.turn, self._sequence, ended=reason))

    @property
    def answer(self) -> tuple[int, ...]:
        """The turn as it stands in the sequence, ended."""
        return (self.control.text_begin, *self.tokens, self.control.text_end)

    def _knows_better(self, text: str) -> bool:
        """Whether the turn ended before this text, then; it was interrupted, or given up."""
        if self.known is None or self.known.startswith(text):
            return False
        ended_here = self._said + self._unsaid == self.known
        self.known = None
        return ended_here
