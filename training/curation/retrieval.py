"""A library of recordings of one split, searched by what is heard in them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from soundflow.cascade.vocabulary import resolve_sound
from training.curation.recordings import Recording, Split
from training.curation.scenario import Annotation

# Two labels of one kind of sound are at least as near as this, however they are spelt.
KIN = 0.5


@dataclass(frozen=True, slots=True)
class Library:
    """Recordings that may be used together."""

    recordings: tuple[Recording, ...]
    split: Split

    @classmethod
    def of(cls, recordings: Iterable[Recording], split: Split) -> "Library":
        """Keep those of a split. ValueError where there is none."""
        kept = tuple(each for each in recordings if each.split is split)
        if not kept:
            raise ValueError(f"there is no recording of the split {split}")
        return cls(kept, split)

    def retrieve(self, query: str, count: int = 3) -> Sequence[Recording]:
        """Return the recordings whose labels are nearest, the nearest first."""
        ranked = [(-similarity(query, each.label), n) for n, each in enumerate(self.recordings)]
        return [self.recordings[n] for nearness, n in sorted(ranked)[:count] if nearness < 0]

    def annotations(self) -> Sequence[Annotation]:
        """Return the bag that scenarios are planned from."""
        return [Annotation(each.label, each.duration_s or 2.0) for each in self.recordings]


def similarity(one: str, other: str) -> float:
    """Return how near two descriptions are, from 0 to 1: by their spelling, and their kind."""
    spelling = _cosine(_trigrams(one), _trigrams(other))
    kind = resolve_sound(one)
    if kind is None or kind != resolve_sound(other):
        return spelling * KIN
    return KIN + spelling * (1 - KIN)


def _trigrams(text: str) -> Mapping[str, int]:
    """Count the letters in threes, so that "bark" and "barking" have much in common."""
    padded = f" {' '.join(text.lower().split())} "
    return Counter(padded[place : place + 3] for place in range(len(padded) - 2))


def _cosine(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    shared = sum(count * other.get(letters, 0) for letters, count in one.items())
    lengths = [sqrt(sum(count**2 for count in each.values())) for each in (one, other)]
    return shared / (lengths[0] * lengths[1]) if all(lengths) else 0.0
