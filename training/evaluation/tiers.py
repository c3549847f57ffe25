"""The two tiers of Proactive-Sound-Bench as streams: one clip, or several of one category in a row.

The Multiple tier has no published recipe. Ours: 3 and 5 clips of one category with 0.8 to 2.4 s
between, one expected decision for each clip; deterministic by the clips' ids.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from soundflow.audio import CHUNK_MS, CHUNK_SAMPLES, SAMPLE_RATE_HZ, Pcm
from training.evaluation.proactive import IGNORE, RESPOND, Clip, Decision
from training.evaluation.subject import Heard, Turn

GAP_S = (0.8, 2.4)
SIZES = (3, 5)
# Before the first clip, as a session does not begin with the event; after the last, time to answer.
LEAD_S = 0.8
TAIL_S = 2.4


@dataclass(frozen=True, slots=True)
class Placed:
    """A clip in a stream, in samples; a reply belongs to the clip that began last before it.

    start: of what it is about.
    """

    clip: Clip
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Reaction:
    """What was said of one clip."""

    placed: Placed
    turns: tuple[Turn, ...]

    @property
    def decision(self) -> Decision:
        """Any reply is one to respond."""
        return RESPOND if self.turns else IGNORE

    @property
    def reply(self) -> str:
        """All that was said."""
        return " ".join(turn.text for turn in self.turns)

    @property
    def delay_ms(self) -> float:
        """From the beginning to the close of the chunk at which it was first answered, or NaN."""
        if not self.turns:
            return nan
        return (self.turns[0].chunk + 1) * CHUNK_MS - self.placed.start * 1000 / SAMPLE_RATE_HZ


def series(clips: Sequence[Clip]) -> Iterator[tuple[Clip, ...]]:
    """Yield the streams of the Multiple tier. A rest that is too short for a size is left out."""
    categories: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        categories[clip.category].append(clip)
    for category, members in sorted(categories.items()):
        rng = np.random.default_rng(zlib.crc32(category.encode()))
        for size in SIZES:
            order = rng.permutation(len(members))
            for first in range(0, len(members) - size + 1, size):
                yield tuple(members[place] for place in order[first : first + size])


def stream_of(clips: Sequence[Clip], audio: Sequence[Pcm]) -> tuple[Pcm, tuple[Placed, ...]]:
    """Put clips one after the other; return whole chunks, and where each lies."""
    rng = np.random.default_rng(zlib.crc32(" ".join(clip.id for clip in clips).encode()))
    pieces: list[Pcm] = [_silence(LEAD_S)]
    placed: list[Placed] = []
    for clip, pcm_S in zip(clips, audio, strict=True):
        if placed:
            pieces.append(_silence(float(rng.uniform(*GAP_S))))
        first = sum(map(len, pieces))
        pieces.append(pcm_S)
        onset = first + round(clip.onset_s * SAMPLE_RATE_HZ)
        placed.append(Placed(clip, onset, first + len(pcm_S)))
    pieces.append(_silence(TAIL_S))
    joined_S = np.concatenate(pieces)
    return np.pad(joined_S, (0, -len(joined_S) % CHUNK_SAMPLES)), tuple(placed)


def reactions(placed: Sequence[Placed], heard: Heard) -> list[Reaction]:
    """Return what was made of each clip.

    A turn belongs to the clip that had begun last when its newest chunk closed; one from before
    the first clip answers none of them, see `strays`.
    """
    turns: list[list[Turn]] = [[] for _ in placed]
    for turn in heard.turns:
        begun = _begun(placed, turn)
        if begun:
            turns[begun - 1].append(turn)
    return [Reaction(one, tuple(own)) for one, own in zip(placed, turns, strict=True)]


def strays(placed: Sequence[Placed], heard: Heard) -> int:
    """Count the turns from before the first clip: each is a false alarm."""
    return sum(not _begun(placed, turn) for turn in heard.turns)


def _begun(placed: Sequence[Placed], turn: Turn) -> int:
    closed = (turn.chunk + 1) * CHUNK_SAMPLES
    return sum(one.start < closed for one in placed)


def _silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)
