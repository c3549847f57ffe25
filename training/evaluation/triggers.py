"""When a model speaks, against when it should: hits, misses, false alarms, delay.

The paper gives a "trigger accuracy" and no definition. Ours: a reply answers an expected one when
it begins at its chunk, or up to `TOLERANCE_CHUNKS` later; one that begins before the evidence is
complete is a false alarm. Every chunk then counts once, as right or wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from soundflow.audio import CHUNK_MS
from training.evaluation.figures import Figure, Result, per_hour, quantile, share
from training.evaluation.interval import resampled

TOLERANCE_CHUNKS = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """One stream. delays: in chunks, one for each hit. false_alarms: the chunks they began at.

    hits: for each expected reply, in their order, whether it came.
    """

    chunks: int
    hits: tuple[bool, ...]
    delays: tuple[int, ...]
    false_alarms: tuple[int, ...]

    @property
    def hit(self) -> int:
        """How many came."""
        return sum(self.hits)

    @property
    def missed(self) -> int:
        """How many did not."""
        return len(self.hits) - self.hit

    @property
    def seconds(self) -> float:
        """How long the stream is."""
        return self.chunks * CHUNK_MS / 1000


def match(
    chunks: int,
    expected: Sequence[int],
    spoken: Sequence[int],
    tolerance_chunks: int = TOLERANCE_CHUNKS,
) -> Outcome:
    """Pair replies with expected ones, in order, each with the first that it can answer."""
    waiting, hits, delays = sorted(spoken), [], []
    for due in sorted(expected):
        found = next((at for at in waiting if due <= at <= due + tolerance_chunks), None)
        hits.append(found is not None)
        if found is not None:
            waiting.remove(found)
            delays.append(found - due)
    return Outcome(chunks, tuple(hits), tuple(delays), tuple(waiting))


def score(name: str, outcomes: Sequence[Outcome]) -> Result:
    """Return the figures of several streams."""
    hit = sum(outcome.hit for outcome in outcomes)
    missed = sum(outcome.missed for outcome in outcomes)
    false = sum(len(outcome.false_alarms) for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    delays_ms = [delay * CHUNK_MS for outcome in outcomes for delay in outcome.delays]
    chunks = sum(outcome.chunks for outcome in outcomes)
    low, high = resampled(outcomes, accuracy)
    return Result(
        name,
        (
            Figure(
                "trigger accuracy",
                accuracy(outcomes),
                low,
                high,
                chunks,
                note=f"chunks; a reply may come up to {TOLERANCE_CHUNKS} chunks late",
            ),
            share("precision", hit, hit + false),
            share("recall", hit, hit + missed),
            Figure("delay, median", quantile(delays_ms, 0.5), of=hit, unit="ms"),
            Figure("delay, 90 %", quantile(delays_ms, 0.9), of=hit, unit="ms"),
            per_hour("false alarms", false, seconds),
        ),
    )


def accuracy(outcomes: Sequence[Outcome]) -> float:
    """Return the share of chunks on which nothing was missed and nothing said without cause."""
    chunks = sum(outcome.chunks for outcome in outcomes)
    wrong = sum(outcome.missed + len(outcome.false_alarms) for outcome in outcomes)
    return 1 - wrong / chunks if chunks else float("nan")
