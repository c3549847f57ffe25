"""What is varied in streams while the language model learns, so that it learns what matters.

Shape suffixes: N chunks, P frames, W width, G groups of sounds.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from soundflow.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from soundflow.cascade.policy import POLICY
from soundflow.interaction import Ability
from soundflow.unified.prompts import STANDARD_PROMPTS
from soundflow.unified.tokens import BLOCK_FRAMES
from training.compose import Role
from training.composition.timeline import Response, Timeline
from training.data import JOINED_SCENES
from training.small.features import About
from training.small.streams import Heard

# The first columns of the groups are the policy's rows, in its order.
DANGERS = {row.advice: place for place, row in enumerate(POLICY)}
# What the tagger gives to a group of sounds that is there.
AUDIBLE = 0.1
SWAPPED_SHARE = 0.5
OVERHEARD_SHARE = 0.15
MASKS_PER_CHUNK = 0.12
LONGEST_MASK = 6  # frames of 40 ms
DROPPED_SHARE = 0.1


def audible(heard: Heard, rng: np.random.Generator) -> Heard:
    """Warn as soon as the tagger hears a danger, one chunk later, and not where it does not.

    Rows are answered when a sound is over; that would teach to wait, and to guess.
    """
    kept: list[Response] = []
    for response in heard.about.timeline.responses:
        danger = DANGERS.get(response.answer.text)
        if danger is not None:
            begin = _begin(heard.about, response)
            loud_N = heard.groups_NG[begin : response.chunk + 1, danger]
            if loud_N.max(initial=0.0) < AUDIBLE:
                continue
            first = begin + int((loud_N >= loud_N.max() / 2).argmax())
            chunk = min(first + 1, heard.about.timeline.chunks - 1)
            evidence = min(response.evidence_samples, (chunk + 1) * CHUNK_SAMPLES)
            response = replace(response, chunk=chunk, evidence_samples=evidence)
        if not kept or response.chunk > kept[-1].chunk:
            kept.append(response)
    return _with(heard, replace(heard.about.timeline, responses=tuple(kept)))


def swapped(heard: Heard, rng: np.random.Generator) -> Heard:
    """Let dangers change places, columns and warnings together, so that rare ones are learnt too.

    What warns of one recording of a cough is then learnt from every recording of a siren.
    """
    to = rng.permutation(len(POLICY))
    dangerous = any(r.answer.text in DANGERS for r in heard.about.timeline.responses)
    if rng.random() >= SWAPPED_SHARE or not dangerous:
        return heard
    groups_NG = heard.groups_NG.copy()
    groups_NG[:, to] = heard.groups_NG[:, : len(POLICY)]
    responses = [_swapped(response, to) for response in heard.about.timeline.responses]
    timeline = replace(heard.about.timeline, responses=tuple(responses))
    return _with(replace(heard, groups_NG=groups_NG), timeline)


def overheard(heard: Heard, rng: np.random.Generator) -> Heard:
    """Let another ability listen, to which what is heard is no reason to say anything.

    Speech is no danger; a sound is no speech.
    """
    if rng.random() >= OVERHEARD_SHARE:
        return heard
    speech = heard.about.scene in JOINED_SCENES
    ability = Ability.PROACTIVE if speech else Ability.TRANSCRIBE
    system = STANDARD_PROMPTS[ability]
    return _with(heard, Timeline(heard.about.timeline.chunks, (), system))


def masked(heard: Heard, rng: np.random.Generator) -> Heard:
    """Hide pieces of what the adapter makes, and single numbers, as nothing is as clear later."""
    adapted_NPW = heard.adapted_NPW.copy()
    frames = adapted_NPW.reshape(-1, adapted_NPW.shape[-1])
    for _ in range(int(rng.poisson(MASKS_PER_CHUNK * len(frames) / BLOCK_FRAMES))):
        begin = int(rng.integers(len(frames)))
        frames[begin : begin + int(rng.integers(1, LONGEST_MASK + 1))] = 0
    kept = rng.random(frames.shape, np.float32) >= DROPPED_SHARE
    frames *= kept / np.float32(1 - DROPPED_SHARE)
    return replace(heard, adapted_NPW=adapted_NPW)


def _begin(about: About, response: Response) -> int:
    """Return the chunk in which that begins which is over in the last chunk of the evidence."""
    end_s = response.evidence_samples / SAMPLE_RATE_HZ
    chunk_s = CHUNK_SAMPLES / SAMPLE_RATE_HZ
    starts_s = [
        clip.start_s
        for clip in about.clips
        if clip.role == Role.FOREGROUND and 0 <= end_s - clip.end_s < chunk_s
    ]
    return int(max(starts_s, default=0.0) / chunk_s)


def _swapped(response: Response, to: Sequence[int] | np.ndarray) -> Response:
    danger = DANGERS.get(response.answer.text)
    if danger is None:
        return response
    answer = replace(response.answer, text=POLICY[int(to[danger])].advice)
    return replace(response, answer=answer)


def _with(heard: Heard, timeline: Timeline) -> Heard:
    return replace(heard, about=heard.about.model_copy(update={"timeline": timeline}))
