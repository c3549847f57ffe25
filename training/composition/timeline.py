"""When a stream is answered: chunks, responses, and the queues in which a decoder hears them.

A response stands at the first chunk whose close leaves nothing of its evidence unheard. A drained
queue is several chunks with one decision behind the last; what falls due in it is said then.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from soundflow.audio import CHUNK_SAMPLES

CHARACTERS_PER_TOKEN = 4  # about, of English


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said. emotion: "" = no tag."""

    text: str
    emotion: str = ""

    def __post_init__(self) -> None:
        if not self.text:
            raise ValueError("an answer says something; where nothing is said there is none")


@dataclass(frozen=True, slots=True)
class Response:
    """An answer and the chunk, counted from 0, at whose close it is decided on.

    evidence_samples: where in the stream its evidence ends.
    joins: may be said together with the next, as the words of a transcript.
    """

    chunk: int
    answer: Answer
    evidence_samples: int = 0
    joins: bool = False

    def __post_init__(self) -> None:
        if self.chunk < 0 or (self.chunk + 1) * CHUNK_SAMPLES < self.evidence_samples:
            raise ValueError(f"a response comes when its evidence has been heard, got {self}")


@dataclass(frozen=True, slots=True)
class Timeline:
    """A stream's chunks and its responses, in order, at most one at a chunk."""

    chunks: int
    responses: tuple[Response, ...] = ()
    system: str = ""

    def __post_init__(self) -> None:
        places = [response.chunk for response in self.responses]
        if places != sorted(set(places)) or (places and places[-1] >= self.chunks):
            raise ValueError(f"responses at {places} of {self.chunks} chunks")

    def late(self, chunks: int) -> "Timeline":
        """Return it for a model that hears everything so many chunks late; it is as much longer."""
        responses = tuple(replace(each, chunk=each.chunk + chunks) for each in self.responses)
        return replace(self, chunks=self.chunks + chunks, responses=responses)


@dataclass(frozen=True, slots=True)
class Drain:
    """Chunks that were heard together, `chunks` from `first` on, and what was said then.

    said: which share of the answer, before what was heard next ended it.
    """

    first: int
    chunks: int = 1
    answer: Answer | None = None
    said: float = 1.0


@dataclass(frozen=True, slots=True)
class Queueing:
    """How often, and how far, a decoder is behind, and how often it is interrupted.

    late_share: of the drains, those of more than one chunk; at most `longest`.
    busy_share: of the replies, those during which the queue fills, at `tokens_per_chunk`.
    crowded_share: of the drains in which several answers fall due, those that say all of them,
    as a live queue makes them; the others end before the next.
    cut_share: of the replies, those that end early because of what is heard next.
    """

    late_share: float = 0.15
    longest: int = 6
    busy_share: float = 0.5
    tokens_per_chunk: int = 12
    crowded_share: float = 0.5
    cut_share: float = 0.05


NEVER_LATE = Queueing(0.0, 1, 0.0, crowded_share=0.0, cut_share=0.0)


def response_chunk(evidence_samples: int) -> int:
    """Return the chunk at whose close the evidence is over: number ⌈t / c⌉, counted from 0."""
    return max(0, -(-evidence_samples // CHUNK_SAMPLES) - 1)


def drains(timeline: Timeline, queueing: Queueing, rng: np.random.Generator) -> Iterator[Drain]:
    """Cut a timeline into drained queues, each with one decision.

    Several responses in one are said together: always where they may be joined, else at times.
    """
    due = {response.chunk: response for response in timeline.responses}
    first, said = 0, ""
    while first < timeline.chunks:
        most = min(_queue(queueing, said, rng), timeline.chunks - first)
        crowded = rng.random() < queueing.crowded_share
        taken: list[Response] = []
        end = first
        while end < first + most:
            if end in due:
                if taken and not crowded and not (taken[-1].joins and due[end].joins):
                    break
                taken.append(due[end])
            end += 1
        answer = _joined(taken)
        cut = answer is not None and not taken[0].joins and rng.random() < queueing.cut_share
        share = float(rng.uniform(0.1, 0.9)) if cut else 1.0
        yield Drain(first, end - first, answer, share)
        first, said = end, answer.text if answer and not cut else ""


def _queue(queueing: Queueing, said: str, rng: np.random.Generator) -> int:
    """Draw how many chunks wait, after something was said."""
    chunks = 1
    if rng.random() < queueing.late_share:
        chunks = int(rng.integers(2, queueing.longest + 1))
    if said and rng.random() < queueing.busy_share:
        chunks += len(said) // CHARACTERS_PER_TOKEN // queueing.tokens_per_chunk
    return chunks


def _joined(taken: Sequence[Response]) -> Answer | None:
    if not taken:
        return None
    text = " ".join(response.answer.text for response in taken)
    return replace(taken[0].answer, text=text)
