"""Streams made of clips: events one after the other, others behind them, two beds of noise.

A stream is the same for the same parts and seed. It says when each response is due, and where
each clip lies and comes from. Shape suffix: S samples.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from soundflow.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ, Pcm
from training.composition.channel import CLEAR, Channel, carried
from training.composition.mixing import add, at_level, faded, tiled
from training.composition.timeline import Answer, Response, Timeline, response_chunk
from training.curation.recordings import Recording, Split
from training.curation.tfjp import tfjp

LOUDEST = 0.99


class Role(StrEnum):
    """How a clip sounds in a stream."""

    FOREGROUND = "foreground"
    BACKGROUND = "background"
    AMBIENT = "ambient"
    NOISE = "noise"


@dataclass(frozen=True, slots=True)
class Cue:
    """Something in a clip that is answered. end: the sample after its evidence; -1 = the clip's.

    joins: as in `training.composition.timeline.Response`.
    """

    answer: Answer
    end: int = -1
    joins: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A clip for a stream.

    as_it_is: not to be curated, because its pauses or its cues' places matter, as in speech.
    apart_from: labels of foreground parts that it must not sound together with.
    """

    recording: Recording
    pcm_S: Pcm
    cues: tuple[Cue, ...] = ()
    as_it_is: bool = False
    apart_from: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not len(self.pcm_S):
            raise ValueError(f"{self.recording.label}: a part has samples")
        if not self.as_it_is and any(cue.end >= 0 for cue in self.cues):
            raise ValueError(f"{self.recording.label}: curation moves the places of its cues")


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a clip lies in a stream, in samples, and where it is from."""

    recording: Recording
    role: Role
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Stream:
    """Whole chunks of audio with their responses. left_out: parts for which there was no place."""

    pcm_S: Pcm
    timeline: Timeline
    placed: tuple[Placed, ...]
    split: Split
    seed: int
    left_out: tuple[Recording, ...] = ()


@dataclass(frozen=True, slots=True)
class Composition:
    """How streams sound. Ranges are drawn from evenly.

    level_db: of the foreground. snr_db: of the event-like noise below it; the ambient noise lies
    another `ambient_noise_db` lower.
    lead_s, pause_s: of silence before the first foreground clip, and between two.
    tail_chunks: after the last response's chunk.
    tries: for a random place, before a part is left out.
    channel: what the whole stream then goes through.
    """

    level_db: tuple[float, float] = (-32.0, -20.0)
    background_db: float = -6.0
    ambient_db: float = -12.0
    snr_db: tuple[float, float] = (5.0, 20.0)
    ambient_noise_db: float = -5.0
    lead_s: tuple[float, float] = (0.2, 1.2)
    pause_s: tuple[float, float] = (0.3, 1.5)
    tail_chunks: tuple[int, int] = (1, 4)
    tries: int = 20
    channel: Channel = CLEAR


@dataclass(slots=True)
class _Draft:
    """A stream while it is being made."""

    level_db: float
    placed: list[tuple[Placed, Pcm]] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    left_out: list[Recording] = field(default_factory=list)
    end: int = 0


def compose(
    foreground: Sequence[Part],
    seed: int,
    *,
    background: Sequence[Part] = (),
    ambient: Sequence[Part] = (),
    noises: tuple[Part, Part] | None = None,
    composition: Composition | None = None,
) -> Stream:
    """Compose a stream. ValueError where its parts are of different splits.

    noises: the event-like bed and the ambient one.
    """
    how = composition or Composition()
    rng = np.random.default_rng(seed)
    parts = [*foreground, *background, *ambient, *(noises or ())]
    split = _one_split(part.recording for part in parts)
    draft = _Draft(float(rng.uniform(*how.level_db)))
    _place_foreground(draft, foreground, how, rng)
    last = draft.responses[-1].chunk if draft.responses else -1
    heard_chunks = max(-(-draft.end // CHUNK_SAMPLES), last + 1)
    chunks = heard_chunks + int(rng.integers(how.tail_chunks[0], how.tail_chunks[1] + 1))
    for role, others, gain_db in (
        (Role.BACKGROUND, background, how.background_db),
        (Role.AMBIENT, ambient, how.ambient_db),
    ):
        for part in others:
            _place_anywhere(draft, part, role, gain_db, chunks, how.tries, rng)
    _lay_beds(draft, noises, how, chunks, rng)
    mix_S = _limited(carried(_mixed(draft, chunks), how.channel, rng))
    return _stream(draft, mix_S, split, seed)


def _place_foreground(
    draft: _Draft, parts: Sequence[Part], how: Composition, rng: np.random.Generator
) -> None:
    """Put clips one after the other, each with its responses."""
    for number, part in enumerate(parts):
        pause_s = rng.uniform(*(how.pause_s if number else how.lead_s))
        start = draft.end + round(pause_s * SAMPLE_RATE_HZ)
        pcm_S = _ready(part, draft.level_db)
        draft.end = start + len(pcm_S)
        placed = Placed(part.recording, Role.FOREGROUND, start, draft.end)
        draft.placed.append((placed, pcm_S))
        for cue in part.cues:
            end = start + (len(pcm_S) if cue.end < 0 else min(cue.end, len(pcm_S)))
            _respond(draft.responses, cue, end)


def _respond(responses: list[Response], cue: Cue, end: int) -> None:
    """Add a response where it is due; where another stands, join it or take the next chunk."""
    chunk = response_chunk(end)
    before = responses[-1] if responses else None
    if before is None or chunk > before.chunk:
        responses.append(Response(chunk, cue.answer, end, cue.joins))
    elif before.joins and cue.joins and chunk == before.chunk:
        text = f"{before.answer.text} {cue.answer.text}"
        responses[-1] = Response(chunk, Answer(text, before.answer.emotion), end, joins=True)
    else:
        responses.append(Response(before.chunk + 1, cue.answer, end, cue.joins))


def _place_anywhere(
    draft: _Draft,
    part: Part,
    role: Role,
    gain_db: float,
    chunks: int,
    tries: int,
    rng: np.random.Generator,
) -> None:
    """Put a clip at a random place; of one longer than the stream, a random piece.

    One of a role sounds at a time: several would together be louder than their gain says.
    """
    pcm_S = _ready(part, draft.level_db + gain_db)
    samples = chunks * CHUNK_SAMPLES
    if len(pcm_S) > samples:
        first = int(rng.integers(len(pcm_S) - samples + 1))
        pcm_S = faded(pcm_S[first : first + samples])
    forbidden = [
        each
        for each, _ in draft.placed
        if each.role is role or each.recording.label in part.apart_from
    ]
    for _ in range(tries):
        start = int(rng.integers(samples - len(pcm_S) + 1))
        end = start + len(pcm_S)
        if all(end <= each.start or each.end <= start for each in forbidden):
            draft.placed.append((Placed(part.recording, role, start, end), pcm_S))
            return
    draft.left_out.append(part.recording)


def _lay_beds(
    draft: _Draft,
    noises: tuple[Part, Part] | None,
    how: Composition,
    chunks: int,
    rng: np.random.Generator,
) -> None:
    """Lay both noises under the whole stream."""
    if noises is None:
        return
    below_db = -float(rng.uniform(*how.snr_db))
    for part, gain_db in zip(noises, (0.0, how.ambient_noise_db), strict=True):
        samples = chunks * CHUNK_SAMPLES
        bed_S = tiled(part.pcm_S, samples, int(rng.integers(len(part.pcm_S))))
        bed_S = at_level(bed_S, draft.level_db + below_db + gain_db)
        draft.placed.append((Placed(part.recording, Role.NOISE, 0, samples), faded(bed_S)))


def _ready(part: Part, target_db: float) -> Pcm:
    pcm_S = part.pcm_S if part.as_it_is else tfjp(part.pcm_S).pcm_S
    return faded(at_level(pcm_S, target_db))


def _mixed(draft: _Draft, chunks: int) -> Pcm:
    mix_S = np.zeros(chunks * CHUNK_SAMPLES, np.float32)
    for placed, pcm_S in draft.placed:
        add(mix_S, pcm_S, placed.start)
    return _limited(mix_S)


def _limited(mix_S: Pcm) -> Pcm:
    """Turn a mix down as a whole where it would be clipped."""
    peak = float(np.abs(mix_S).max(initial=0.0))
    return mix_S * np.float32(LOUDEST / peak) if peak > LOUDEST else mix_S


def _stream(draft: _Draft, mix_S: Pcm, split: Split, seed: int) -> Stream:
    timeline = Timeline(len(mix_S) // CHUNK_SAMPLES, tuple(draft.responses))
    placed = tuple(placed for placed, _ in draft.placed)
    return Stream(mix_S, timeline, placed, split, seed, tuple(draft.left_out))


def _one_split(recordings: Iterable[Recording]) -> Split:
    splits = {recording.split for recording in recordings}
    if len(splits) != 1:
        raise ValueError(f"a stream is made of recordings of one split, got {sorted(splits)}")
    return splits.pop()
