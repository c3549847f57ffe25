"""A stage for cascade sessions: features made by hand, and parts that do as a test says.

Everything happens on the test's own thread, so that a test decides what comes first.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from threading import Event
from typing import Any, ParamSpec, TypeVar

import numpy as np

from soundflow.audio import CHUNK_MS
from soundflow.cascade.chat import ChatUnavailable, Message
from soundflow.cascade.endpoint import VAD_WINDOW_MS
from soundflow.cascade.policy import POLICY
from soundflow.cascade.session import CascadeSession, Parts
from soundflow.cascade.sound_classes import CLASS_NAMES, places
from soundflow.cascade.turn_end import TurnEnd
from soundflow.cascade.whisper import Job, WhisperRuntime
from soundflow.cascade.whisper_model import MELS, TimedWord, Transcript, WhisperError, Window
from soundflow.decoder import Speaking, Verdict
from soundflow.features import Features
from soundflow.frontend import Array
from soundflow.interaction import Action, EndReason, Kind, PastTurn, Piece, SessionSpec

P = ParamSpec("P")
R = TypeVar("R")

FRAMES = 40
QUIET, LOUD = -6.0, -1.0  # log10 of mel power, in every band

ADVICE = {row.name: row.advice for row in POLICY}
BARK, GLASS = {"Bark": 0.9}, {"Shatter": 0.9}  # for `sounds` of a chunk


def chunk(
    index: int,
    *,
    speech: bool = False,
    sounds: Mapping[str, float] | None = None,
    burst: bool = False,
    last: bool = False,
    session_id: str = "call",
) -> Features:
    """Return a chunk's features as the encoder would make them: silent, if nothing is said of it.

    burst: for a tenth of a second it is loud.
    """
    scores = np.zeros(len(CLASS_NAMES), np.float32)
    for name, score in {"Speech": 0.9 * speech, **(sounds or {})}.items():
        scores[places([name])] = score
    log_mel = np.full((FRAMES, MELS), QUIET, np.float32)
    log_mel[10:20] = LOUD if burst else QUIET
    windows = (index + 1) * CHUNK_MS // VAD_WINDOW_MS - index * CHUNK_MS // VAD_WINDOW_MS
    tensors = {
        "log_mel": log_mel,
        "sound_scores": scores,
        "speech": np.full(windows, 0.95 if speech else 0.01, np.float32),
    }
    return Features(session_id, index, tensors, last)


class ScriptedWhisper(WhisperRuntime):
    """Answers every job with `text`, an error, or, while it is `held`, not yet."""

    def __init__(self) -> None:
        self.text: str | WhisperError = "Hello there."
        self.held = False
        self.jobs: list[Job] = []
        self._submitted: list[tuple[Job, Future[Transcript]]] = []
        self._stopped = False

    @property
    def languages(self) -> frozenset[str]:
        return frozenset({"en", "es"})

    def start(self) -> None:
        """There is no thread."""

    def stop(self) -> None:
        """Cancel what waits."""
        self._stopped = True
        for future in self.unanswered:
            future.cancel()

    def submit(self, job: Job) -> "Future[Transcript]":
        if self._stopped:
            raise WhisperError("the Whisper runtime is stopped")
        self.jobs.append(job)
        future: Future[Transcript] = Future()
        self._submitted.append((job, future))
        return future

    @property
    def unanswered(self) -> list["Future[Transcript]"]:
        return [future for _, future in self._submitted if not future.done()]

    def work(self) -> bool:
        """Answer what waits; False when nothing does, or it is held."""
        if self.held:
            return False
        submitted, self._submitted = self._submitted, []
        running = [each for each in submitted if each[1].set_running_or_notify_cancel()]
        for job, future in running:
            if isinstance(self.text, WhisperError):
                future.set_exception(self.text)
            else:
                future.set_result(transcript(self.text, job.window))
        return bool(running)


def transcript(text: str, window: Window) -> Transcript:
    """Return what a window that says `text` still says after what is settled of it."""
    settled = len(window.prefix.split())
    words = tuple(
        TimedWord(f" {word}" if place else word, place * 100, (place + 1) * 100)
        for place, word in enumerate(text.split())
    )
    rest = text.removeprefix(window.prefix)
    return Transcript(rest, words[settled:] if window.word_times else ())


class Workshop(Executor):
    """Does what was submitted when it is told to."""

    def __init__(self) -> None:
        self.held = False
        self._to_do: list[Callable[[], None]] = []

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> "Future[R]":
        future: Future[R] = Future()

        def do() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except Exception as error:
                future.set_exception(error)

        self._to_do.append(do)
        return future

    def work(self) -> bool:
        """Do what waits; False when nothing does, or it is held."""
        if self.held:
            return False
        to_do, self._to_do = self._to_do, []
        for do in to_do:
            do()
        return bool(to_do)


@dataclass
class ScriptedChat:
    """Answers with `parts`. before_part: called with a part's number before it is given."""

    parts: Sequence[str] = ("It is ", "blue.")
    failure: ChatUnavailable | None = None
    before_part: Callable[[int], None] = lambda number: None
    asked: list[list[Message]] = field(default_factory=list)
    given: list[str] = field(default_factory=list)

    def reply(self, messages: Sequence[Message], cancelled: Event) -> Iterator[str]:
        self.asked.append(list(messages))
        for number, part in enumerate(self.parts):
            self.before_part(number)
            if cancelled.is_set():
                return
            self.given.append(part)
            yield part
        if self.failure:
            raise self.failure

    def close(self) -> None:
        """There is nothing to release."""


class ScriptedTurnEnd(TurnEnd):
    """Gives every pause the score `fixed`, or fails."""

    def __init__(self) -> None:
        self.fixed: float | Exception = 0.9
        self.asked = 0

    def score(self, log_mel_TM: Array) -> float:  # noqa: N803  as its base names it
        self.asked += 1
        if isinstance(self.fixed, Exception):
            raise self.fixed
        return self.fixed


@dataclass
class Stage:
    """A session, stepped as the engine steps it, and all that came of it."""

    spec: SessionSpec
    history: Sequence[PastTurn] = ()
    whisper: ScriptedWhisper = field(default_factory=ScriptedWhisper)
    workshop: Workshop = field(default_factory=Workshop)
    chat: ScriptedChat = field(default_factory=ScriptedChat)
    turn_end: ScriptedTurnEnd = field(default_factory=ScriptedTurnEnd)
    kinds: dict[int, Kind] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)
    ready: list[CascadeSession] = field(default_factory=list)
    next_index: int = 0
    memory: str = ""

    def __post_init__(self) -> None:
        makers = (self.workshop, self.workshop)
        parts = Parts(self.whisper, lambda: self.chat, self.turn_end, *makers)
        ready = self.ready.append
        self.session = CascadeSession(self.spec, self.history, parts, ready, self.memory)

    def hear(self, *chunks: Features) -> Verdict:
        """Let the session hear these as one queue, then speak for as long as something comes."""
        verdict = self.session.listen(chunks)
        assert (verdict.action is Action.RESPOND) == bool(verdict.turns)
        self.kinds |= {start.turn: start.kind for start in verdict.turns}
        if verdict.action is Action.RESPOND or verdict.unsettled:
            self.speak()
        return verdict

    def hear_next(self, chunks: int = 1, *, last: bool = False, **what: Any) -> list[Verdict]:
        """Let it hear so many chunks of a kind, one by one; `last` is for the last of them."""
        first, self.next_index = self.next_index, self.next_index + chunks
        indices = range(first, self.next_index)
        return [self.hear(chunk(i, **what, last=last and i == indices[-1])) for i in indices]

    def say(self, text: str) -> list[Verdict]:
        """Let it hear an utterance of 1.2 s, and the pause that ends it."""
        self.whisper.text = text
        return [*self.hear_next(3, speech=True), *self.hear_next(2)]

    def speak(self) -> None:
        """Step the session until it listens again, or waits for what is held back."""
        while True:
            spoken = self.session.speak()
            self.pieces += spoken.pieces
            if spoken.speaking is Speaking.DONE:
                return
            readied = len(self.ready)
            worked = self.whisper.work() | self.workshop.work()
            assert not worked or len(self.ready) > readied, "nobody would step the session again"
            if not worked:
                assert self.whisper.held or self.workshop.held, "the session waits for nothing"
                return

    def text(self, turn: int) -> str:
        """Return a turn's text as a caller would have it now."""
        said = [piece for piece in self.pieces if piece.turn == turn and not piece.ended]
        newest = {piece.sequence: piece.text for piece in said}
        return "".join(newest[sequence] for sequence in sorted(newest))

    def ended(self, turn: int) -> EndReason | None:
        """Return why a turn ended; None while it is open."""
        ends = [piece.ended for piece in self.pieces if piece.turn == turn and piece.ended]
        assert len(ends) <= 1, f"turn {turn} ended more than once: {ends}"
        return ends[0] if ends else None

    @property
    def told(self) -> list[tuple[Kind, str]]:
        """Return every turn's kind and text, in order of the turns."""
        return [(self.kinds[turn], self.text(turn)) for turn in sorted(self.kinds)]

    def told_of(self, kind: Kind) -> list[str]:
        return [text for each, text in self.told if each is kind]


def stage(instruction: str = "", *abilities: Any, **spec: Any) -> Stage:
    """Set up a session with an instruction or abilities."""
    return Stage(SessionSpec(instruction, frozenset(abilities), **spec))
