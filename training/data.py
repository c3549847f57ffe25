"""A corpus on disk as training examples: rows, their audio, and drained queues of many shapes.

A folder holds `base.jsonl`, and where there are any `history.jsonl`, `silent.jsonl` and
`proactive.jsonl`, in any of the published forms; paths of audio are from the folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from soundflow.audio import CHUNK_SAMPLES, Pcm
from soundflow.unified.prompts import NO_PROMPT
from soundflow.unified.settings import UnifiedSettings
from soundflow.unified.tokens import ControlTokens, TextTokens
from training.composition.rows import AnyRow, OfflineRow, Row, parse
from training.composition.sequence import Parts, TokenSequence, offline, sequences
from training.composition.timeline import (
    Answer,
    Queueing,
    Response,
    Timeline,
    drains,
    response_chunk,
)
from training.curation.recordings import read_pcm
from training.learning.example import Example, Source

KINDS = ("base", "history", "silent", "proactive")
# Transcripts: what falls due while a queue fills is said in one.
JOINED_SCENES = frozenset({"real-time ASR"})
# Before a turn whose audio has no pauses of its own, in chunks: 0.8 to 2.4 s, as published.
PAUSE_CHUNKS = (2, 6)
TAIL_CHUNKS = 2
# Some streams are heard through a narrower window, so that short ones, too, are laid out anew.
NARROW_SHARE = 0.2
NARROW_CHUNKS = (12, 40)


@dataclass(frozen=True, slots=True)
class Heard:
    """A row with its audio. pcm_S: whole chunks, as many as the timeline has."""

    timeline: Timeline
    pcm_S: Pcm


@dataclass(frozen=True, slots=True)
class Layout:
    """How a timeline becomes a sequence.

    settings: of the sessions that the model is to hold; by them long streams are cut.
    """

    parts: Parts
    settings: UnifiedSettings = field(default_factory=UnifiedSettings)
    queueing: Queueing = field(default_factory=Queueing)

    def sequence(self, timeline: Timeline, rng: np.random.Generator) -> TokenSequence:
        """Draw queues and lay them out; of a long stream, return one part."""
        drained = drains(timeline, self.queueing, rng)
        found = list(sequences(drained, timeline.system, self.parts, self._window(rng)))
        return found[int(rng.integers(len(found)))]

    def _window(self, rng: np.random.Generator) -> UnifiedSettings:
        """Draw how much a session may hold: at times less than it will."""
        most = min(NARROW_CHUNKS[1], self.settings.window_chunks)
        if rng.random() >= NARROW_SHARE or most <= NARROW_CHUNKS[0]:
            return self.settings
        chunks = int(rng.integers(NARROW_CHUNKS[0], most))
        return replace(self.settings, window_chunks=chunks, kept_chunks=chunks // 3)


class RowSource:
    """Implement `training.learning.example.Source` over one file of rows.

    seed: of the queues and pauses, which are the same each time a row is asked for.
    """

    def __init__(self, path: Path, layout: Layout, *, seed: int = 0) -> None:
        """Look only where the lines are. OSError."""
        self._path, self._layout, self._seed = path, layout, seed
        with path.open("rb") as file:
            lengths = [(len(line), bool(line.strip())) for line in file]
        ends = np.cumsum([length for length, _ in lengths], dtype=np.int64)
        self._starts = [
            int(end - length) for (length, is_row), end in zip(lengths, ends, strict=True) if is_row
        ]

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._starts)

    def row(self, index: int) -> AnyRow:
        """Read a row. RowError."""
        with self._path.open("rb") as file:
            file.seek(self._starts[index])
            return parse(file.readline().decode())

    def __getitem__(self, index: int) -> Example:
        """Make a row's example; of a long stream, one part. RowError, AudioError, OSError."""
        row = self.row(index)
        name = f"{self._path.stem}/{row.id or index}"
        rng = np.random.default_rng([self._seed, index])
        if isinstance(row, OfflineRow):
            return _offline_example(row, self._path.parent, self._layout.parts, name)
        heard = hear(row, self._path.parent, rng)
        return _example(self._layout.sequence(heard.timeline, rng), heard.pcm_S, name)


def open_sources(
    folder: Path, control: ControlTokens, text: TextTokens, settings: UnifiedSettings | None = None
) -> Mapping[str, Source]:
    """Return a corpus by the kinds of its rows. ValueError where there is no base."""
    layout = Layout(Parts(control, text), settings or UnifiedSettings())
    files = files_of(folder)
    if "base" not in files:
        raise ValueError(f"there is no corpus in {folder}: it has no base.jsonl")
    return {kind: RowSource(path, layout) for kind, path in files.items()}


def files_of(folder: Path) -> Mapping[str, Path]:
    """Return the files of rows that a corpus has, by kind."""
    files = {kind: folder / f"{kind}.jsonl" for kind in KINDS}
    return {kind: path for kind, path in files.items() if path.is_file()}


def hear(row: Row, folder: Path, rng: np.random.Generator) -> Heard:
    """Join a row's audio and find when its responses are due. AudioError, OSError.

    rng: draws the pauses of a row that has none of its own.
    """
    pieces: list[Pcm] = []
    responses: list[Response] = []
    chunks = 0
    for turn in row.turns:
        pause = 0 if row.timed else int(rng.integers(PAUSE_CHUNKS[0], PAUSE_CHUNKS[1] + 1))
        said_S = read_pcm(folder / turn.audio_path)
        evidence = (chunks + pause) * CHUNK_SAMPLES + len(said_S)
        pieces += [np.zeros(pause * CHUNK_SAMPLES, np.float32), whole_chunks(said_S)]
        chunks = sum(map(len, pieces)) // CHUNK_SAMPLES
        if not turn.is_silent:
            answer = Answer(turn.assistant, turn.emotion)
            joins = row.scene_type in JOINED_SCENES
            responses.append(Response(response_chunk(evidence), answer, evidence, joins))
    if not row.timed:
        pieces.append(np.zeros(TAIL_CHUNKS * CHUNK_SAMPLES, np.float32))
        chunks += TAIL_CHUNKS
    timeline = Timeline(chunks, tuple(responses), row.system or NO_PROMPT)
    return Heard(timeline, np.concatenate(pieces))


def whole_chunks(pcm_S: Pcm) -> Pcm:
    """Fill the last chunk up with silence."""
    return np.pad(pcm_S, (0, -len(pcm_S) % CHUNK_SAMPLES))


def _offline_example(row: OfflineRow, folder: Path, parts: Parts, name: str) -> Example:
    system = row.system or NO_PROMPT
    if not row.audio_path:
        return _example(offline(row.assistant, row.user, system, 0, parts), None, name)
    pcm_S = whole_chunks(read_pcm(folder / row.audio_path))
    chunks = len(pcm_S) // CHUNK_SAMPLES
    return _example(offline(row.assistant, row.user, system, chunks, parts), pcm_S, name)


def _example(sequence: TokenSequence, pcm_S: Pcm | None, name: str) -> Example:
    return Example(
        sequence.tokens_T,
        sequence.text_T,
        sequence.stream_T,
        sequence.blocks_N,
        pcm_S=pcm_S,
        name=name,
    )
