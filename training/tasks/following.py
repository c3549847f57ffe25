"""Streaming instruction following: typed, spoken, changed midway, and conditional."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from training.compose import Part
from training.composition.timeline import Answer
from training.synth import Speaker
from training.tasks.plan import Plan, Studio, pick, several
from training.tasks.talk import Exchange, instruction, question


@dataclass(frozen=True, slots=True)
class Manner:
    """A way to answer. asked: how one asks for it; answer: from the how-manieth exchange it is."""

    asked: str
    answer: Callable[[int, Exchange], str]


def _after(opening: str, sentence: str) -> str:
    """Put words before a sentence; what begins it is a name, a number or an article."""
    return f"{opening} {re.sub('^The ', 'the ', sentence)}"


MANNERS = (
    Manner("repeat every question before you answer", lambda _, e: f"{e.user} {e.assistant}"),
    Manner("begin every answer with the word well", lambda _, e: _after("Well,", e.assistant)),
    Manner("end every answer with thank you", lambda _, e: f"{e.assistant} Thank you."),
    Manner("number your answers", lambda n, e: f"Number {n}: {e.assistant}"),
    Manner("answer every question with noted", lambda _, e: "Noted."),
    Manner("repeat each question and do not answer", lambda _, e: e.user),
)
FREE = "Do what the speaker tells you."
AGREED = ("All right.", "I will do that.", "Okay.")
REPLIES = ("Good dog.", "I heard it.", "There it is.", "Bingo.", "Here we go.")


def typed(studio: Studio, rng: np.random.Generator) -> Plan:
    """The manner of answering is typed before anything is heard."""
    manner, speaker = pick(MANNERS, rng), studio.speaker(rng)
    parts = _questions(studio, speaker, manner, 2, 4, rng)
    system = f"{manner.asked[0].upper()}{manner.asked[1:]}."
    return Plan(tuple(parts), system, noises=studio.beds(rng))


def said(studio: Studio, rng: np.random.Generator) -> Plan:
    """It is said at the beginning."""
    manner, speaker = pick(MANNERS, rng), studio.speaker(rng)
    parts = [_order(studio, speaker, manner.asked, rng)]
    parts += _questions(studio, speaker, manner, 2, 3, rng)
    return Plan(tuple(parts), FREE, noises=studio.beds(rng))


def changed(studio: Studio, rng: np.random.Generator) -> Plan:
    """It is said, and later something else; or answers are called off, and nothing is said."""
    speaker = studio.speaker(rng)
    places = rng.permutation(len(MANNERS))
    before, after = MANNERS[int(places[0])], MANNERS[int(places[1])]
    parts = [_order(studio, speaker, before.asked, rng)]
    parts += _questions(studio, speaker, before, 1, 2, rng)
    if rng.random() < 0.5:
        parts.append(_order(studio, speaker, after.asked, rng))
        parts += _questions(studio, speaker, after, 1, 2, rng)
    else:
        parts.append(_order(studio, speaker, "stop answering my questions", rng))
        parts += _questions(studio, speaker, None, 1, 2, rng)
    return Plan(tuple(parts), FREE, noises=studio.beds(rng))


def conditional(studio: Studio, rng: np.random.Generator) -> Plan:
    """Of several sounds, one is to be met with certain words, the others with silence."""
    events = studio.material.events()
    name, reply = pick(sorted({each.name for each in events}), rng), pick(REPLIES, rng)
    awaited = [each for each in events if each.name == name]
    chosen = [pick(awaited, rng) for _ in range(int(rng.integers(1, 4)))]
    chosen += several(studio.material.events_but(name), 1, 3, rng)
    parts = [
        studio.sound(sound, *([Answer(reply)] if sound.name == name else []))
        for sound in (chosen[int(place)] for place in rng.permutation(len(chosen)))
    ]
    system = f"When you hear {name}, say: {reply} Else say nothing."
    return Plan(tuple(parts), system, noises=studio.beds(rng))


def _order(studio: Studio, speaker: Speaker, asked: str, rng: np.random.Generator) -> Part:
    text = instruction(rng, studio.material, asked)
    return studio.speech(speaker, text, Answer(pick(AGREED, rng)))


def _questions(
    studio: Studio,
    speaker: Speaker,
    manner: Manner | None,
    least: int,
    most: int,
    rng: np.random.Generator,
) -> list[Part]:
    """Ask some questions, answered in a manner; None = not at all."""
    parts = []
    for number in range(1, 1 + int(rng.integers(least, most + 1))):
        exchange = question(studio.material, rng)
        answers = [Answer(manner.answer(number, exchange))] if manner else []
        parts.append(studio.speech(speaker, exchange.user, *answers))
    return parts
