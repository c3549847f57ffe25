"""Stability over turns: whether the fifth cue in a stream is answered as the first one is."""

from collections.abc import Sequence

from training.evaluation.figures import Result, share
from training.evaluation.triggers import Outcome

MOST_TURNS = 5


def score(name: str, outcomes: Sequence[Outcome]) -> Result:
    """Return the recall of the first, second … fifth reply, over the streams that have so many."""
    figures = []
    for place in range(MOST_TURNS):
        hits = [outcome.hits[place] for outcome in outcomes if len(outcome.hits) > place]
        figures.append(share(f"turn {place + 1}", sum(hits), len(hits)))
    for turns in range(1, MOST_TURNS + 1):
        whole = [all(outcome.hits) for outcome in outcomes if len(outcome.hits) == turns]
        figures.append(share(f"all of {turns}", sum(whole), len(whole)))
    return Result(name, tuple(figures), "a reply is right that comes in time; see triggers")
