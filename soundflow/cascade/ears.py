"""How a session listens to speech: the passes that its tracker asks for, and whole utterances."""

from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field

from soundflow.cascade.speech import Pass, SpeechTracker
from soundflow.cascade.whisper import WhisperRuntime
from soundflow.cascade.whisper_model import Transcript, WhisperError
from soundflow.decoder import Speaking
from soundflow.features import Features
from soundflow.interaction import EndReason, Kind, Piece, TurnStart


@dataclass(frozen=True, slots=True)
class _Running:
    """A pass that the runtime is working on."""

    wanted: Pass
    transcript: Future[Transcript]


@dataclass(slots=True)
class Ear:
    """One way of listening: a transcript, a translation, or (kind None) text that nobody sees.

    heard: told the whole text of every utterance that ended.
    ready: called, from any thread, when a pass is done.
    """

    kind: Kind | None
    tracker: SpeechTracker
    whisper: WhisperRuntime
    heard: Callable[[str], None]
    ready: Callable[[], None]
    _running: _Running | None = None
    _open: set[int] = field(default_factory=set)
    _said: dict[int, str] = field(default_factory=dict)

    def hear(self, features: Features) -> None:
        """Hear a chunk; nothing blocks."""
        self.tracker.hear(features)

    @property
    def busy(self) -> bool:
        """Speech is going on, or some of it is not text yet."""
        return self.tracker.speaking or bool(self.tracker.turns) or self._running is not None

    def starts(self) -> list[TurnStart]:
        """The turns that the next passes belong to; none when nobody sees them."""
        if self.kind is None:
            return []
        self._open.update(self.tracker.turns)
        return [TurnStart(turn, self.kind) for turn in self.tracker.turns]

    def step(self) -> tuple[list[Piece], Speaking]:
        """Take a pass that is done, and start the next; DONE when all that was heard is text."""
        pieces: list[Piece] = []
        if self._running:
            if not self._running.transcript.done():
                return [], Speaking.WAITING
            running, self._running = self._running, None
            heard = list(self._take(running))
            self._gather(heard)
            pieces = heard if self.kind else []  # unseen turns have numbers of their own
        wanted = self.tracker.next_pass()
        if wanted is None:
            return pieces, Speaking.DONE
        transcript = self.whisper.submit(wanted.job)
        self._running = _Running(wanted, transcript)
        transcript.add_done_callback(lambda _: self.ready())
        return pieces, Speaking.WAITING

    def cancel(self, turn: int) -> list[Piece]:
        """Give up a turn that is seen; return its end, if it was open."""
        if turn not in self._open:
            return []
        ends = list(self.tracker.cancel(turn))
        self._gather(ends)
        return ends

    def give_up(self) -> list[Piece]:
        """Give up all turns that are open; return their ends."""
        return [piece for turn in sorted(self._open) for piece in self.cancel(turn)]

    def stop(self) -> list[Piece]:
        """Listen no more; return the ends of the turns that are open."""
        self.close()
        return self.give_up()

    def close(self) -> None:
        """Give up the pass at hand."""
        if self._running:
            self._running.transcript.cancel()

    def _take(self, running: _Running) -> tuple[Piece, ...]:
        try:
            transcript = running.transcript.result()
        except (WhisperError, CancelledError):
            return self.tracker.fail(running.wanted)
        return self.tracker.take(running.wanted, transcript)

    def _gather(self, pieces: list[Piece]) -> None:
        """Put final pieces together until their utterance is whole."""
        for piece in pieces:
            if piece.ended:
                self._open.discard(piece.turn)
                text = self._said.pop(piece.turn, "").strip()
                if text and piece.ended is EndReason.COMPLETE:
                    self.heard(text)
            elif piece.final:
                self._said[piece.turn] = self._said.get(piece.turn, "") + piece.text
