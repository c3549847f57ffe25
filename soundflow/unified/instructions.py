"""What a session is told to do, as the tokens of its system prompt."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

CHARACTERS_PER_TOKEN = 4  # about as many as a system prompt's text has; what is beyond is cut off


@dataclass(slots=True)
class Instructions:
    """The text that the session was opened with, then what was typed since, a line each.

    Typed text takes the system prompt's place because that is where the model has learnt to look
    for it. Of more than `most_tokens` the oldest typed line is forgotten first.
    next_typed: what is to be followed from the next chunk on.
    """

    system: str
    encode: Callable[[str], list[int]]
    most_tokens: int
    typed: list[str] = field(default_factory=list)
    next_typed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.system = self.system[: self._most_characters]

    def add(self, text: str) -> None:
        """Take a line for the next chunk."""
        self.next_typed.append(text[: self._most_characters])
        while sum(map(len, self.next_typed)) > self._most_characters:
            del self.next_typed[0]

    def take_up(self) -> bool:
        """Follow what was typed last; return whether anything was."""
        typed, self.next_typed = self.next_typed, []
        self.typed += typed
        return bool(typed)

    def ids(self) -> tuple[int, ...]:
        """Return the system prompt."""
        while True:
            ids = self._joined([self.system, *self.typed])
            if len(ids) <= self.most_tokens:
                return ids
            if len(self.typed) <= 1:
                return self._cut()
            del self.typed[0]

    def _cut(self) -> tuple[int, ...]:
        """Return the beginning of both lines, where two are too much already."""
        own = self._joined([self.system])[: self.most_tokens // (2 if self.typed else 1)]
        return (*own, *self._joined(["", *self.typed]))[: self.most_tokens]

    def _joined(self, lines: Iterable[str]) -> tuple[int, ...]:
        return tuple(self.encode("\n".join(lines)))

    @property
    def _most_characters(self) -> int:
        return self.most_tokens * CHARACTERS_PER_TOKEN
