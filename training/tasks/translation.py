"""Streaming translation between English and Spanish, of recordings that say the same in both."""

import re

import numpy as np

from training.composition.timeline import Answer
from training.corpora.material import MaterialMissing, Prompt
from training.tasks.plan import Plan, Studio, pick, several
from training.tasks.talk import instruction

INTO_SPANISH = ("Translate what you hear into Spanish.", "Interpret from English into Spanish.")
INTO_ENGLISH = ("Translate what you hear into English.", "Interpret from Spanish into English.")
BY_SENTENCE = ("Translate into Spanish, sentence by sentence.", *INTO_SPANISH)
SWITCHED = ("Translate when you are told to, until you are told to stop.", "Do as you are told.")


def from_english(studio: Studio, rng: np.random.Generator) -> Plan:
    """English recordings, each answered in Spanish."""
    return _translated(studio, "en", "es", pick(INTO_SPANISH, rng), rng)


def into_english(studio: Studio, rng: np.random.Generator) -> Plan:
    """Spanish recordings, each answered in English."""
    return _translated(studio, "es", "en", pick(INTO_ENGLISH, rng), rng)


def by_sentence(studio: Studio, rng: np.random.Generator) -> Plan:
    """Recordings of several sentences, each of them answered where it ends."""
    pairs = studio.material.pairs("en", "es")
    longer = [
        (english, sentences(english), sentences(spanish))
        for english, spanish in pairs
        if len(sentences(english)) == len(sentences(spanish)) > 1
    ]
    if not longer:
        raise MaterialMissing(f"no pair of the split {studio.material.split} has more sentences")
    parts = tuple(studio.sentences(*each) for each in several(longer, 1, 3, rng))
    return Plan(parts, pick(BY_SENTENCE, rng), noises=studio.beds(rng))


def switched(studio: Studio, rng: np.random.Generator) -> Plan:
    """Translation begins and ends when somebody says so; outside of it nothing is said."""
    pairs = several(studio.material.pairs("en", "es"), 3, 6, rng)
    start, stop = sorted(int(place) for place in rng.choice(len(pairs) + 1, 2, replace=False))
    speaker = studio.speaker(rng)
    begin = instruction(rng, studio.material, "translate into Spanish", "start translating")
    end = instruction(rng, studio.material, "stop translating", "stop the translation")
    parts = []
    for number, (english, spanish) in enumerate(pairs):
        if number == start:
            parts.append(studio.speech(speaker, begin, Answer("I will translate from here on.")))
        if number == stop:
            parts.append(studio.speech(speaker, end, Answer("I have stopped translating.")))
        answers = [Answer(spanish.text)] if start <= number < stop else []
        parts.append(studio.prompt(english, *answers))
    return Plan(tuple(parts), pick(SWITCHED, rng))


def sentences(prompt: Prompt) -> list[str]:
    """Return a text's sentences."""
    return [each for each in re.split(r"(?<=[.!?])\s+", prompt.text) if each]


def _translated(
    studio: Studio, spoken: str, written: str, system: str, rng: np.random.Generator
) -> Plan:
    pairs = several(studio.material.pairs(spoken, written), 2, 4, rng)
    parts = [studio.prompt(heard, Answer(said.text)) for heard, said in pairs]
    return Plan(tuple(parts), system, noises=studio.beds(rng))
