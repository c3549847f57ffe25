"""What is varied in streams while the language model learns, so that it learns what matters.

Shape suffixes: N chunks, P frames, W width, G groups of sounds.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from soundflow.cascade.policy import POLICY
from soundflow.interaction import Ability
from soundflow.unified.prompts import STANDARD_PROMPTS
from soundflow.unified.tokens import BLOCK_FRAMES
from training.composition.timeline import Response, Timeline
from training.data import JOINED_SCENES
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
    """Take away the warnings of what the tagger does not hear: they would teach to guess."""
    kept: list[Response] = []
    before = 0
    for response in heard.about.timeline.responses:
        danger = DANGERS.get(response.answer.text)
        heard_NG = heard.groups_NG[before : response.chunk + 1]
        if danger is None or heard_NG[:, danger].max() >= AUDIBLE:
            kept.append(response)
        before = response.chunk + 1
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


def _swapped(response: Response, to: Sequence[int] | np.ndarray) -> Response:
    danger = DANGERS.get(response.answer.text)
    if danger is None:
        return response
    answer = replace(response.answer, text=POLICY[int(to[danger])].advice)
    return replace(response, answer=answer)


def _with(heard: Heard, timeline: Timeline) -> Heard:
    return replace(heard, about=heard.about.model_copy(update={"timeline": timeline}))
