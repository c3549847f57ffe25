"""A spoken conversation: what was asked and answered, and whether a question is over."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field

import numpy as np

from soundflow.audio import CHUNK_MS
from soundflow.cascade.chat import Message, Role
from soundflow.cascade.turn_end import FRAMES, TurnEnd
from soundflow.cascade.whisper_model import MELS, Array

# A question is over when its end sounds like one, or when nothing follows it for this long after
# the pause that ended its last utterance.
TURN_END_SCORE = 0.5
LONG_PAUSE_MS = 1200
KEPT_MESSAGES = 24  # more than any chat model is sent


@dataclass(frozen=True, slots=True)
class Remembered:
    """A conversation's state while nobody speaks; `ended` as a score, None where none is known."""

    past: list[Message]
    asked: list[str]
    ended: float | None
    quiet_chunks: int


@dataclass(slots=True)
class Conversation:
    """One session's conversation.

    asked: utterances since the last answer.
    ready: called, from any thread, when `unsettled` is over.
    ended: how complete the newest utterance sounded, 0 to 1, once that is known.
    quiet_chunks: chunks without speech since then.
    recent_TM: the newest log-mel frames, which the score is made from.
    """

    turn_end: TurnEnd
    executor: Executor
    ready: Callable[[], None]
    past: list[Message] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    ended: "Future[float] | None" = None
    quiet_chunks: int = 0
    recent_TM: Array = field(default_factory=lambda: np.empty((0, MELS), np.float32))

    def hear(self, log_mel_TM: Array) -> None:
        """Remember a chunk's frames."""
        self.recent_TM = np.concatenate([self.recent_TM, log_mel_TM])[-FRAMES:]

    def note_speech(self, *, goes_on: bool, paused: bool) -> None:
        """Note whether speech goes on after a chunk, and whether it paused in it."""
        self.quiet_chunks = 0 if goes_on else self.quiet_chunks + 1
        if paused:
            self.ended = self.executor.submit(self.turn_end.score, self.recent_TM)
            self.ended.add_done_callback(lambda _: self.ready())

    @property
    def unsettled(self) -> bool:
        """How complete the newest utterance sounded is not known yet."""
        return self.ended is not None and not self.ended.done()

    def question_is_over(self) -> bool:
        """Whether something was asked, and whoever asked it is done."""
        if not self.asked:
            return False
        sounds_over = (
            self.ended is not None and self.ended.done() and self._score() > TURN_END_SCORE
        )
        return sounds_over or self.quiet_chunks * CHUNK_MS >= LONG_PAUSE_MS

    def take_question(self, persona: str) -> list[Message]:
        """Return the conversation, ending with what was asked; that counts as asked now."""
        self._remember(Message(Role.USER, " ".join(self.asked)))
        self.asked.clear()
        behaviour = [Message(Role.SYSTEM, persona)] if persona else []
        return [*behaviour, *self.past]

    def answered(self, text: str) -> None:
        """Remember an answer, or what was said of it."""
        self._remember(Message(Role.ASSISTANT, text))

    def remembered(self) -> Remembered:
        """Return what is to be given to `recall`."""
        ended = self._score() if self.ended else None
        return Remembered(list(self.past), list(self.asked), ended, self.quiet_chunks)

    def recall(self, remembered: Remembered) -> None:
        """Go on where another conversation was."""
        self.past, self.asked = list(remembered.past), list(remembered.asked)
        self.quiet_chunks = remembered.quiet_chunks
        self.ended = None
        if remembered.ended is not None:
            self.ended = Future()
            self.ended.set_result(remembered.ended)

    def _remember(self, message: Message) -> None:
        self.past.append(message)
        del self.past[:-KEPT_MESSAGES]

    def _score(self) -> float:
        """Return how complete the newest utterance sounded; 0 where that is not known."""
        known = self.ended is not None and self.ended.done() and not self.ended.exception()
        return self.ended.result() if self.ended and known else 0.0
