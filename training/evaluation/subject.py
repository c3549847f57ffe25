"""A model under evaluation: a recording in, chunk by chunk, and out what it decided and said.

Time is the stream's: every chunk is worked off before the next closes, so a result does not depend
on the machine. What the machine took is measured beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event
from time import perf_counter
from typing import Any, Protocol

from soundflow.audio import CHUNK_MS, CHUNK_SAMPLES, Chunk, Pcm
from soundflow.decoder import Speaking, Verdict
from soundflow.features import Features
from soundflow.interaction import Kind, Piece, SessionSpec
from soundflow.models import Model

# A model that says nothing for this long, and does not finish either, hangs.
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Screen:
    """All that a turn says from the close of a chunk on."""

    chunk: int
    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One reply. chunk: the newest heard when it began. screens: its text as it grew."""

    chunk: int
    kind: Kind
    emotion: str
    screens: tuple[Screen, ...]

    @property
    def text(self) -> str:
        """What it said in the end."""
        return self.screens[-1].text.strip() if self.screens else ""


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of one recording. computed_s: the time that the machine took."""

    chunks: int
    turns: tuple[Turn, ...]
    computed_s: float = 0.0

    @property
    def seconds(self) -> float:
        """How long the recording is, in whole chunks."""
        return self.chunks * CHUNK_MS / 1000

    @property
    def text(self) -> str:
        """All that was said, in order."""
        return " ".join(turn.text for turn in self.turns if turn.text)


class Subject(Protocol):
    """What can be evaluated."""

    def hear(self, pcm: Pcm, spec: SessionSpec) -> Heard:
        """Listen to 16 kHz mono PCM of whole chunks from its beginning, as a session of its own."""
        ...


class ModelSubject:
    """A model, on this machine, one session at a time."""

    def __init__(self, model: Model) -> None:
        """Use a loaded model; it is warmed up here, and stopped by `close`."""
        self._encoder = model.encoder
        self._decoder = model.decoder
        self._ready = Event()
        self._decoder.start(lambda state: self._ready.set())

    def close(self) -> None:
        """Release what the model holds."""
        self._decoder.stop()

    def hear(self, pcm: Pcm, spec: SessionSpec) -> Heard:
        """Listen to a recording. What the model raises is raised."""
        began = perf_counter()
        if len(pcm) % CHUNK_SAMPLES:
            raise ValueError(f"a recording is whole chunks, got {pcm.shape=}")
        page = _Page()
        ears, mind = self._encoder.initial(), self._decoder.open(spec, ())
        pieces_NS = pcm.reshape(-1, CHUNK_SAMPLES)
        try:
            for index, chunk_S in enumerate(pieces_NS):
                chunk = Chunk("evaluation", index, chunk_S, last=index == len(pieces_NS) - 1)
                [(features, ears)] = self._encoder.encode([(chunk, ears)])
                self._advance(mind, features, page)
        finally:
            self._decoder.close(mind)
        return Heard(len(pieces_NS), page.turns(), perf_counter() - began)

    def _advance(self, mind: Any, features: Features, page: "_Page") -> None:
        """Hear one chunk, and say all that is to be said before the next."""
        verdict, fresh = None, [features]
        while verdict is None:
            [verdict] = self._decoder.step([(mind, fresh)], []).heard
            fresh = []
        if isinstance(verdict, Exception):
            raise verdict
        page.open(features.index, verdict)
        speaking = Speaking.MORE if verdict.turns or verdict.unsettled else Speaking.DONE
        while speaking is not Speaking.DONE:
            self._ready.clear()
            [spoken] = self._decoder.step([], [(mind, [])]).spoken
            if isinstance(spoken, Exception):
                raise spoken
            page.write(features.index, spoken.pieces)
            speaking = spoken.speaking
            if speaking is Speaking.WAITING and not self._ready.wait(PATIENCE_S):
                raise TimeoutError(f"nothing was said for {PATIENCE_S} s, nor was it the end")


@dataclass(slots=True)
class _Open:
    chunk: int
    kind: Kind
    emotion: str
    pieces: dict[int, str] = field(default_factory=dict)
    screens: list[Screen] = field(default_factory=list)


class _Page:
    """The turns of a session as they are written."""

    def __init__(self) -> None:
        self._turns: dict[int, _Open] = {}

    def open(self, chunk: int, verdict: Verdict) -> None:
        for start in verdict.turns:
            self._turns.setdefault(start.turn, _Open(chunk, start.kind, start.emotion))

    def write(self, chunk: int, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            turn = self._turns[piece.turn]
            if piece.ended is None or piece.text:
                turn.pieces[piece.sequence] = piece.text
                text = "".join(turn.pieces[place] for place in sorted(turn.pieces))
                turn.screens.append(Screen(chunk, text))

    def turns(self) -> tuple[Turn, ...]:
        return tuple(
            Turn(turn.chunk, turn.kind, turn.emotion, tuple(turn.screens))
            for _, turn in sorted(self._turns.items())
        )
