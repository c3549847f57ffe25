"""Proactive response: a warning where a sound calls for one, and silence at everything else."""

from collections.abc import Callable

import numpy as np

from soundflow.interaction import Ability
from soundflow.unified.prompts import STANDARD_PROMPTS
from training.compose import Part
from training.composition.timeline import Answer
from training.corpora.material import MaterialMissing, Sound
from training.tasks.plan import Plan, Studio, pick, several

HELP = (
    STANDARD_PROMPTS[Ability.PROACTIVE],
    "Speak up only when something dangerous happens.",
    "Warn me of dangers, and stay silent otherwise.",
    "Listen, and help when a sound means trouble.",
)
DISTRESS = frozenset(
    ("screaming", "shouting", "crying", "a baby crying", "coughing", "breathing", "groaning")
)
EQUIPMENT = frozenset(("fire crackling", "an explosion", "glass breaking", "an alarm"))
# Harmless, and yet like something that is not.
ALIKE = frozenset(
    (
        *("laughter", "children playing", "cheering", "a horn", "a train whistle", "a bang"),
        *("a thud", "a crash", "clapping", "a door", "glass clinking", "an engine", "a car"),
        *("a telephone ringing", "a bell ringing", "beeping", "hammering", "a big cat roaring"),
        *("a dog barking", "a slap", "knocking", "an alarm", "birdsong", "a rooster crowing"),
    )
)


def distress(studio: Studio, rng: np.random.Generator) -> Plan:
    """Somebody needs help."""
    return _warned(studio, "distress", lambda name: name in DISTRESS, rng)


def equipment(studio: Studio, rng: np.random.Generator) -> Plan:
    """Something burns, bursts or breaks."""
    return _warned(studio, "equipment and fire", lambda name: name in EQUIPMENT, rng)


def hazards(studio: Studio, rng: np.random.Generator) -> Plan:
    """Traffic and nature are dangerous."""
    known = DISTRESS | EQUIPMENT
    return _warned(studio, "traffic and nature", lambda name: name not in known, rng)


def look_alikes(studio: Studio, rng: np.random.Generator) -> Plan:
    """Nothing happens that anybody must be told of."""
    alike = [each for each in studio.material.harmless() if each.name in ALIKE]
    if not alike:
        raise MaterialMissing(f"the split {studio.material.split} has no look-alikes")
    sounds = several(alike, 2, 4, rng)
    parts = tuple(map(studio.sound, sounds))
    return Plan(parts, pick(HELP, rng), noises=studio.beds(rng), kind="silent")


def _warned(
    studio: Studio, what: str, belongs: Callable[[str], bool], rng: np.random.Generator
) -> Plan:
    """One danger among harmless sounds."""
    found = [each for each in studio.material.hazards() if belongs(each.name)]
    if not found:
        raise MaterialMissing(f"the split {studio.material.split} has no sounds of {what}")
    chosen: list[Sound] = [pick(found, rng), *several(studio.material.harmless(), 1, 3, rng)]
    parts = [_heard(studio, chosen[int(place)]) for place in rng.permutation(len(chosen))]
    return Plan(tuple(parts), pick(HELP, rng), noises=studio.beds(rng), kind="proactive")


def _heard(studio: Studio, sound: Sound) -> Part:
    answers = [Answer(sound.warning, "urgent")] if sound.warning else []
    return studio.sound(sound, *answers)
