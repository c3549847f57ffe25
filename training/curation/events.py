"""From a scenario to sounds: each event is looked for, verified, mended once, or made.

Three candidates are tried. One that is the wrong sound is rejected; one that is only unclean, too
long or broken up is curated and verified again; where none is left, the generator is asked.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from soundflow.audio import SAMPLE_RATE_HZ, AudioError, Pcm
from soundflow.cascade.vocabulary import resolve_sound
from training.compose import Cue, Part, Role
from training.composition.mixing import faded
from training.curation.recordings import Recording, read_pcm, seconds
from training.curation.retrieval import Library
from training.curation.scenario import Planner, Query, Scenario, SubEvent
from training.curation.spectrogram import analyse
from training.curation.tagging import Tagger, score_of
from training.curation.tfjp import LONGEST_SILENCE_HOPS, LOUD_PERCENTILE, runs, silent_frames, tfjp

CANDIDATES = 3
IDENTITY_SCORE = 0.3
SPEECH_SCORE = 0.5  # in a clip of something else: someone talks
DURATION_FIT = (0.5, 2.0)
CLIPPED_SHARE = 0.001
FULL_SCALE = 0.999
# Noise is heard where so much of a clip is at its floor (a sound that dies away only passes there),
# and that floor is no further below the loud frames.
NOISY_SHARE = 0.2
CLEAN_DB = 35.0


class Check(StrEnum):
    """What a clip is asked for."""

    READABLE = "readable"
    IDENTITY = "identity"
    CLEANLINESS = "cleanliness"
    DURATION = "duration"
    CONTINUITY = "continuity"


class Decision(StrEnum):
    """What is done with a candidate."""

    ACCEPT = "accept"
    REPROCESS = "reprocess"
    REJECT = "reject"
    GENERATE = "generate"


# What curation cannot mend.
FATAL = frozenset({Check.READABLE, Check.IDENTITY})


class Generator(Protocol):
    """Makes a sound from words."""

    def generate(self, caption: str, duration_s: float, seed: int) -> tuple[Recording, Pcm] | None:
        """Return a sound and what it is to be listed as; None where it cannot be made."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """One decision, and the checks that led to it. recording: None where there was none."""

    decision: Decision
    recording: Recording | None = None
    failed: frozenset[Check] = frozenset()


@dataclass(frozen=True, slots=True)
class Grounded:
    """An event with its sound; `pcm_S` is None where none was found."""

    event: SubEvent
    query: Query
    steps: tuple[Step, ...]
    recording: Recording | None = None
    pcm_S: Pcm | None = None


@dataclass(frozen=True, slots=True)
class Grounding:
    """Finds sounds for events. read: how a recording is read."""

    library: Library
    tagger: Tagger
    generator: Generator | None = None
    read: Callable[[Recording], Pcm] = lambda recording: read_pcm(recording.path)

    def ground(self, scenario: Scenario, planner: Planner, seed: int) -> Sequence[Grounded]:
        """Find a sound for each event, in their order."""
        queries = planner.refine(scenario)
        return [
            self.ground_event(event, query, seed + number)
            for number, (event, query) in enumerate(zip(scenario.events, queries, strict=True))
        ]

    def ground_event(self, event: SubEvent, query: Query, seed: int) -> Grounded:
        """Find one event's sound."""
        steps: list[Step] = []
        for recording in self.library.retrieve(query.text, CANDIDATES):
            pcm_S = self._tried(recording, event, steps)
            if pcm_S is not None:
                return Grounded(event, query, tuple(steps), recording, pcm_S)
        made = self.generator and self.generator.generate(query.caption, event.duration_s, seed)
        steps.append(Step(Decision.GENERATE, made[0] if made else None))
        if made:
            failed = verify(made[1], event, self.tagger)
            steps.append(Step(Decision.REJECT if failed else Decision.ACCEPT, made[0], failed))
            if not failed:
                return Grounded(event, query, tuple(steps), *made)
        return Grounded(event, query, tuple(steps))

    def _tried(self, recording: Recording, event: SubEvent, steps: list[Step]) -> Pcm | None:
        """Return a candidate's sound, mended if that is needed and enough."""
        try:
            pcm_S = _excerpt(self.read(recording), event)
        except (AudioError, OSError):
            steps.append(Step(Decision.REJECT, recording, frozenset({Check.READABLE})))
            return None
        failed = verify(pcm_S, event, self.tagger)
        if failed and not failed & FATAL:
            steps.append(Step(Decision.REPROCESS, recording, failed))
            pcm_S = tfjp(pcm_S).pcm_S
            failed = verify(pcm_S, event, self.tagger)
        steps.append(Step(Decision.REJECT if failed else Decision.ACCEPT, recording, failed))
        return None if failed else pcm_S


def verify(pcm_S: Pcm, event: SubEvent, tagger: Tagger) -> frozenset[Check]:
    """Return the checks that a clip fails."""
    if not pcm_S.size or not np.isfinite(pcm_S).all() or not pcm_S.any():
        return frozenset({Check.READABLE})
    return frozenset(_failed(pcm_S, event, tagger))


def parts_of(
    scenario: Scenario, grounded: Sequence[Grounded], cues: Callable[[SubEvent], tuple[Cue, ...]]
) -> dict[Role, list[Part]]:
    """Return what was found as parts of a stream, the foreground in the scenario's order.

    cues: what is to be said of an event when it has been heard.
    """
    behind = [n for n, event in enumerate(scenario.events) if event.role is not Role.FOREGROUND]
    parts: dict[Role, list[Part]] = {role: [] for role in Role}
    for number in (*scenario.order(), *behind):
        event, found = scenario.events[number], grounded[number]
        if found.recording is None or found.pcm_S is None:
            continue
        apart = [grounded[n].recording for n in event.apart_from]
        labels = frozenset(recording.label for recording in apart if recording)
        said = cues(event) if event.role is Role.FOREGROUND else ()
        part = Part(found.recording, found.pcm_S, said, apart_from=labels)
        parts[event.role].append(part)
    return parts


def _failed(pcm_S: Pcm, event: SubEvent, tagger: Tagger) -> Iterator[Check]:
    scores_C = tagger.scores(pcm_S)
    group, speech = resolve_sound(event.sound), resolve_sound("speech")
    if group is None or score_of(scores_C, group) < IDENTITY_SCORE:
        yield Check.IDENTITY
    talks = speech and group != speech and score_of(scores_C, speech) >= SPEECH_SCORE
    if talks or not _is_clean(pcm_S):
        yield Check.CLEANLINESS
    if not DURATION_FIT[0] <= seconds(pcm_S) / event.duration_s <= DURATION_FIT[1]:
        yield Check.DURATION
    if not _is_continuous(pcm_S):
        yield Check.CONTINUITY


def _is_clean(pcm_S: Pcm) -> bool:
    """Whether a clip is neither clipped nor noisy."""
    if np.mean(np.abs(pcm_S) >= FULL_SCALE) > CLIPPED_SHARE:
        return False
    energies_T = analyse(pcm_S).energies
    floor_T = silent_frames(energies_T)
    if floor_T.mean() < NOISY_SHARE:
        return True
    loud = np.percentile(energies_T, LOUD_PERCENTILE)
    return bool(energies_T[floor_T].mean() * 10 ** (CLEAN_DB / 10) <= loud)


def _is_continuous(pcm_S: Pcm) -> bool:
    """Whether a clip has no long silence within."""
    silent_T = silent_frames(analyse(pcm_S).energies)
    inner = [(first, end) for first, end in runs(silent_T) if first and end < len(silent_T)]
    return all(end - first <= LONGEST_SILENCE_HOPS for first, end in inner)


def _excerpt(pcm_S: Pcm, event: SubEvent) -> Pcm:
    """Return as much as is needed of a sound that has no beginning or end."""
    wanted = round(event.duration_s * SAMPLE_RATE_HZ)
    if event.role is Role.FOREGROUND or len(pcm_S) <= DURATION_FIT[1] * wanted:
        return pcm_S
    return faded(pcm_S[:wanted])
