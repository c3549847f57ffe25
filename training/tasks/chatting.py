"""Voice chatting: questions, longer talk, what was said before, and feelings."""

import numpy as np

from training.compose import Part
from training.composition.timeline import Answer
from training.synth import Speaker
from training.tasks.plan import Plan, Studio, pick
from training.tasks.talk import CHAT_SYSTEMS, Exchange, fact, feeling, question

ROUNDS_BETWEEN = (2, 3)  # so that an answer lies three rounds back, or more


def one_question(studio: Studio, rng: np.random.Generator) -> Plan:
    """A single question."""
    said = [question(studio.material, rng)]
    return _talk(studio, said, rng)


def many_turns(studio: Studio, rng: np.random.Generator) -> Plan:
    """Several questions by the same speaker."""
    said = [question(studio.material, rng) for _ in range(int(rng.integers(3, 6)))]
    return _talk(studio, said, rng)


def history_review(studio: Studio, rng: np.random.Generator) -> Plan:
    """Something is told, other things are asked, and then what was told."""
    told, recall = fact(studio.material, rng)
    count = int(rng.integers(ROUNDS_BETWEEN[0], ROUNDS_BETWEEN[1] + 1))
    between = [question(studio.material, rng) for _ in range(count)]
    return _talk(studio, [told, *between, recall], rng, kind="history")


def fitting_emotion(studio: Studio, rng: np.random.Generator) -> Plan:
    """Something said with feeling, among questions; the reply's emotion fits it."""
    said = [question(studio.material, rng) for _ in range(int(rng.integers(2)))]
    said.insert(int(rng.integers(len(said) + 1)), feeling(studio.material, rng))
    return _talk(studio, said, rng)


def turn(studio: Studio, speaker: Speaker, exchange: Exchange) -> Part:
    """Return what is said, with its answer."""
    answer = Answer(exchange.assistant, exchange.emotion)
    return studio.speech(speaker, exchange.user, answer)


def _talk(
    studio: Studio, said: list[Exchange], rng: np.random.Generator, *, kind: str = "base"
) -> Plan:
    speaker = studio.speaker(rng)
    parts = tuple(turn(studio, speaker, each) for each in said)
    return Plan(parts, pick(CHAT_SYSTEMS, rng), noises=studio.beds(rng), kind=kind)
