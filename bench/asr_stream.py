"""Live transcription on a simulated clock: audio comes at real time, computing takes its time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

import numpy as np

from soundflow.audio import CHUNK_SAMPLES, Chunk, Pcm
from soundflow.cascade.encoder import CascadeEncoder
from soundflow.cascade.speech import SpeechTracker
from soundflow.cascade.utterance import DEFAULTS, SpeechSettings
from soundflow.cascade.whisper import WhisperRuntime
from soundflow.interaction import Piece
from training.evaluation.words import Shown


@dataclass(slots=True)
class Live:
    """What a live transcription showed. `screens` = all text, `settled` = its final part."""

    screens: list[Shown] = field(default_factory=list)
    settled: list[Shown] = field(default_factory=list)
    computed_s: float = 0.0
    turns: int = 0
    passes_ms: list[float] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The final text."""
        return self.settled[-1].text if self.settled else ""


class Transcriber(Protocol):
    """Something that transcribes a recording as if it came live."""

    def transcribe(self, pcm: Pcm) -> Live:
        """Transcribe 16 kHz mono PCM."""
        ...


class CascadeTranscriber:
    """The cascade's encoder, tracker and Whisper, one session, alone on this machine.

    Every step is measured as it runs; the clock then says when its result would have been shown.
    Chunks that close while a step runs wait, and are heard together after it.
    """

    def __init__(
        self, encoder: CascadeEncoder, whisper: WhisperRuntime, settings: SpeechSettings = DEFAULTS
    ) -> None:
        """Use loaded models; the runtime is started."""
        self._encoder = encoder
        self._whisper = whisper
        self._settings = settings

    def transcribe(self, pcm: Pcm) -> Live:
        """Transcribe English."""
        live, page = Live(), Page()
        turns = iter(range(1, 1_000_000))
        tracker = SpeechTracker(lambda: next(turns), settings=self._settings)
        state = self._encoder.initial()
        waiting = list(_chunks(pcm))
        now_ms = 0.0
        while waiting:
            now_ms = max(now_ms, waiting[0].end_ms)
            while waiting and waiting[0].end_ms <= now_ms:
                began = perf_counter()
                [(features, state)] = self._encoder.encode([(waiting.pop(0), state)])
                tracker.hear(features)
                now_ms += _spend(live, began)
            while due := tracker.next_pass():
                began = perf_counter()
                pieces = tracker.take(due, self._whisper.submit(due.job).result())
                spent_ms = _spend(live, began)
                live.passes_ms.append(spent_ms)
                now_ms += spent_ms
                page.write(pieces)
                page.show(live, now_ms)
        live.turns = len(page.turns)
        return live


class Page:
    """The text of all turns, as the newest pieces leave it."""

    def __init__(self) -> None:
        self._pieces: dict[tuple[int, int], Piece] = {}

    @property
    def turns(self) -> set[int]:
        """The turns that have text."""
        return {turn for (turn, _), piece in self._pieces.items() if piece.text}

    def write(self, pieces: tuple[Piece, ...]) -> None:
        """Put pieces in their places; a final piece may not be replaced."""
        for piece in pieces:
            place = piece.turn, piece.sequence
            if place in self._pieces and self._pieces[place].final:
                raise ValueError(f"final text was replaced: {self._pieces[place]} by {piece}")
            self._pieces[place] = piece

    def show(self, live: Live, now_ms: float) -> None:
        """Note what is shown now."""
        live.screens.append(Shown(now_ms, self._text(self._pieces.values())))
        final = [piece for piece in self._pieces.values() if piece.final]
        live.settled.append(Shown(now_ms, self._text(final)))

    def _text(self, pieces: Iterable[Piece]) -> str:
        ordered = sorted(pieces, key=lambda piece: (piece.turn, piece.sequence))
        return "".join(p.text if p.sequence else f"\n{p.text}" for p in ordered)


def _chunks(pcm: Pcm) -> Iterator[Chunk]:
    count = -(-len(pcm) // CHUNK_SAMPLES)
    padded = np.pad(pcm, (0, count * CHUNK_SAMPLES - len(pcm)))
    for index, piece in enumerate(padded.reshape(count, CHUNK_SAMPLES)):
        yield Chunk("eval", index, piece, last=index == count - 1)


def _spend(live: Live, began: float) -> float:
    spent_s = perf_counter() - began
    live.computed_s += spent_s
    return spent_s * 1000
