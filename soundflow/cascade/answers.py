"""Spoken answers: a question goes to the chat model, and its reply comes back piece by piece."""

import logging
import re
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from threading import Event

from soundflow.cascade.chat import ChatModel, ChatUnavailable, Message
from soundflow.decoder import Speaking
from soundflow.interaction import EndReason, Piece, TurnStart

log = logging.getLogger(__name__)

# With the space before it. Chinese and Japanese have none between words: each sign is one.
WORD = re.compile(r"\s*(?:[^\s\u2e80-\uffef]+|[\u2e80-\uffef])|\s+$")


class Reply:
    """One reply on its way: made on an executor's thread, taken on the engine's."""

    def __init__(
        self,
        chat: Callable[[], ChatModel],
        messages: Sequence[Message],
        executor: Executor,
        changed: Callable[[], None],
    ) -> None:
        self._parts: deque[str] = deque()
        self._cancelled = Event()
        self._changed = changed
        self._made = executor.submit(self._make, chat, messages)
        self._made.add_done_callback(lambda _: changed())

    @property
    def over(self) -> bool:
        """Nothing more will come. Ask before `take`, so that nothing is missed."""
        return self._made.done()

    def take(self) -> str:
        """Return what came since the last call."""
        return "".join(self._parts.popleft() for _ in range(len(self._parts)))

    def failure(self) -> str:
        """Say why the reply broke off, once it is over; "" where it did not."""
        error = self._made.exception()
        if error is None or isinstance(error, ChatUnavailable):
            return str(error or "")
        log.error("a reply failed", exc_info=error)
        return "the platform failed on this question"

    def cancel(self) -> None:
        """Stop making it."""
        self._cancelled.set()

    def _make(self, chat: Callable[[], ChatModel], messages: Sequence[Message]) -> None:
        for part in chat().reply(messages, self._cancelled):
            self._parts.append(part)
            self._changed()


@dataclass(slots=True)
class Answer:
    """A turn that answers a question, a word a piece.

    However its text happens to arrive, the same text makes the same pieces: when a session is
    rebuilt, its answer is made again, and callers have the beginning already.

    ask: starts the reply; None while the question is not known yet (its last words are still being
    transcribed), which only happens at the very end of a session's audio.
    answered: told the whole answer, for the session's memory of the conversation.
    """

    start: TurnStart
    ask: Callable[[], Reply | None]
    answered: Callable[[str], None]
    reply: Reply | None = None
    said: str = ""
    begun_word: str = ""
    sequence: int = 0
    cancelled: bool = False

    def step(self) -> tuple[list[Piece], Speaking]:
        """Say what has come since the last step."""
        if not self.cancelled:
            self.reply = self.reply or self.ask()
        if self.cancelled:
            return self._end(EndReason.CANCELLED)
        if self.reply is None:
            return [], Speaking.WAITING
        over = self.reply.over
        pieces = self._pieces(self.reply.take(), whole=over)
        if not over:
            return pieces, Speaking.WAITING
        failure = self.reply.failure()
        if not failure:
            ended, speaking = self._end(EndReason.COMPLETE)
            return pieces + ended, speaking
        apart = " " if self.said and not self.said[-1].isspace() else ""
        pieces += self._pieces(f"{apart}I cannot answer now: {failure}", whole=True)
        ended, speaking = self._end(EndReason.ERROR)
        return pieces + ended, speaking

    def cancel(self) -> None:
        """Stop answering; what was said stays said."""
        self.cancelled = True
        if self.reply:
            self.reply.cancel()

    def _pieces(self, text: str, *, whole: bool) -> list[Piece]:
        """Return the words that are complete; the last one is not while more may come."""
        words = WORD.findall(self.begun_word + text)
        self.begun_word = words.pop() if words and not whole else ""
        first, self.sequence = self.sequence, self.sequence + len(words)
        self.said += "".join(words)
        return [Piece(self.start.turn, first + i, word) for i, word in enumerate(words)]

    def _end(self, reason: EndReason) -> tuple[list[Piece], Speaking]:
        self.answered(self.said)
        return [Piece(self.start.turn, self.sequence, ended=reason)], Speaking.DONE
