"""What a session is told to do, as the tokens of its system prompt."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

CHARACTERS_PER_TOKEN = 16  # more than any text has for long; what is beyond need not be encoded


@dataclass(slots=True)
class Instructions:
    """The text that the session was opened with, then what was typed since, a line each.

    Typed text takes the system prompt's place because that is where the model has learnt to look
    for it. Of more than `most_tokens` the oldest typed line is forgotten first.
    """

    system: str
    typed: list[str]
    encode: Callable[[str], list[int]]
    most_tokens: int

    def ids(self) -> tuple[int, ...]:
        """Return the system prompt."""
        self.typed = [line[: self._most_characters] for line in self.typed]
        while True:
            ids = self._joined([self.system, *self.typed])
            if len(ids) <= self.most_tokens:
                return ids
            if len(self.typed) <= 1:
                return self._halves()
            del self.typed[0]

    def _halves(self) -> tuple[int, ...]:
        """Return as much of both as fits, where one typed line is too much already."""
        half = self.most_tokens // 2 if self.typed else self.most_tokens
        lines = [f"\n{line}" for line in self.typed]
        return (*self._joined([self.system])[:half], *self._joined(lines)[:half])

    def _joined(self, lines: Iterable[str]) -> tuple[int, ...]:
        return tuple(self.encode("\n".join(line[: self._most_characters] for line in lines)))

    @property
    def _most_characters(self) -> int:
        return self.most_tokens * CHARACTERS_PER_TOKEN
