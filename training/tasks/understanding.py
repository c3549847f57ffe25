"""Streaming audio understanding: tell what is heard, count it, answer questions about it."""

from collections.abc import Sequence

import numpy as np

from soundflow.interaction import Ability
from soundflow.unified.prompts import STANDARD_PROMPTS
from training.compose import Part
from training.composition.timeline import Answer
from training.corpora.material import Sound
from training.curation.scenario import Annotation, GrammarPlanner
from training.tasks.plan import Plan, Studio, pick, several

NARRATE = (
    STANDARD_PROMPTS[Ability.DESCRIBE],
    "Tell me each sound that you hear.",
    "Describe what you hear, sound by sound.",
    "Name every sound as soon as it is over.",
)
COUNT = (
    "Count how many times you hear {}.",
    "Count {}, and say the number each time.",
    "Keep count of {}.",
)
# Of how many events a scene is planned, and how many of them are heard.
BAG, MOST_EVENTS = (6, 12), 5
QUESTIONS = "Answer questions about what you hear."
SCENE = ("Describe the scene when you are asked to.", QUESTIONS)
DESCRIBE = (
    *("What is going on here?", "What can you hear?", "Describe the scene.", "Where am I?"),
    *("Tell me what you hear.", "What is happening?", "What happened so far?", "What was that?"),
    *("What do you hear around us?", "What does this place sound like?", "Describe this place."),
    *("Please describe the scene.", "What did you hear so far?", "Summarise what you hear."),
    *("Can you describe the scene?", "What have you heard?", "What are these sounds?"),
    *("Tell me what is happening.", "Describe what you hear.", "What kind of place is this?"),
)


def narrate(studio: Studio, rng: np.random.Generator) -> Plan:
    """Each event of a planned scene is named when it is over."""
    sounds = _scene(studio.material.events(), rng)
    parts = [studio.sound(each, Answer(sentence(each.name))) for each in sounds]
    return Plan(tuple(parts), pick(NARRATE, rng), noises=studio.beds(rng))


def describe(studio: Studio, rng: np.random.Generator) -> Plan:
    """Some events in a place; a spoken question is answered with all of them, in their order."""
    place = pick(studio.material.places(), rng)
    sounds = several(studio.material.events(), 2, 3, rng)
    asked = studio.material.one_of(DESCRIBE, rng)
    told = sentence(
        f"{', then '.join(each.name for each in sounds)}, with {place.name} in the background"
    )
    question = studio.speech(studio.speaker(rng), asked, Answer(told))
    events = [studio.sound(each) for each in sounds]
    return Plan((*events, question), pick(SCENE, rng), ambient=(studio.sound(place),))


def count(studio: Studio, rng: np.random.Generator) -> Plan:
    """One kind of sound among others; each time it is heard its number is said."""
    events = studio.material.events()
    name = pick(sorted({each.name for each in events}), rng)
    counted = [each for each in events if each.name == name]
    chosen = [pick(counted, rng) for _ in range(int(rng.integers(2, 6)))]
    chosen += several(studio.material.events_but(name), 1, 3, rng)
    parts: list[Part] = []
    number = 0
    for place in rng.permutation(len(chosen)):
        sound = chosen[int(place)]
        number += sound.name == name
        answers = [Answer(f"{number}.")] if sound.name == name else []
        parts.append(studio.sound(sound, *answers))
    return Plan(tuple(parts), pick(COUNT, rng).format(name), noises=studio.beds(rng))


def questions(studio: Studio, rng: np.random.Generator) -> Plan:
    """Events, and a spoken question about them: yes or no, a choice, or the order."""
    events = studio.material.events()
    first, *rest = _different(several(events, 3, 6, rng))
    if not rest:
        rest = [studio.material.events_but(first.name)[0]]
    asked, answer = _asked(studio, first, rest[0], rng)
    absent = asked.endswith("or not?") and answer.startswith("No")
    heard = [first, *(rest[1:3] if absent else rest[:2])]
    question = studio.speech(studio.speaker(rng), asked, Answer(answer))
    return Plan((*map(studio.sound, heard), question), QUESTIONS, noises=studio.beds(rng))


def sentence(text: str) -> str:
    """Return words as a sentence."""
    return f"{text[0].upper()}{text[1:]}."


def _scene(events: Sequence[Sound], rng: np.random.Generator) -> Sequence[Sound]:
    """Draw events, and put them into the order that a planner gives them: causes come first.

    What sounds in the background of its scenario is left out: it would be heard, and not told.
    """
    by_name = {each.name: each for each in several(events, *BAG, rng)}
    bag = [Annotation(each.name, each.recording.duration_s) for each in by_name.values()]
    scenario = GrammarPlanner().plan(bag, int(rng.integers(2**31)))
    return [by_name[scenario.events[place].sound] for place in scenario.order()][:MOST_EVENTS]


def _asked(
    studio: Studio, first: Sound, second: Sound, rng: np.random.Generator
) -> tuple[str, str]:
    """Return a question about a first sound and another, which is heard unless this denies it."""
    forms = [
        (f"Did you hear {first.name} or not?", f"Yes, I heard {first.name}."),
        (f"Did you hear {second.name} or not?", f"No, I did not hear {second.name}."),
        (f"Was it {first.name} or {second.name} that came first?", sentence(first.name)),
        (f"Which came first, {second.name} or {first.name}?", sentence(first.name)),
        (f"What came first, {second.name} or {first.name}?", sentence(first.name)),
        ("What was the first sound?", sentence(first.name)),
        ("Which sound did you hear first?", sentence(first.name)),
        ("Tell me the first sound.", sentence(first.name)),
        ("What did you hear at the beginning?", sentence(first.name)),
        ("How did it begin?", sentence(first.name)),
    ]
    answers = dict(forms)
    asked = studio.material.one_of(list(answers), rng)
    return asked, answers[asked]


def _different(sounds: Sequence[Sound]) -> list[Sound]:
    """Keep one of each name."""
    return list({each.name: each for each in sounds}.values())
