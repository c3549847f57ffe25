"""Real-time ASR: recorded speech, each word written down in the chunk in which it ends."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from soundflow.interaction import Ability
from soundflow.unified.prompts import STANDARD_PROMPTS
from training.compose import Composition, Part
from training.composition.channel import Channel
from training.corpora.material import MaterialMissing, Prompt
from training.tasks.plan import Plan, Studio, pick, several

TRANSCRIBE = (
    STANDARD_PROMPTS[Ability.TRANSCRIBE],
    "Transcribe what is said.",
    "Write down every word that you hear.",
    "Transcribe the speech in real time.",
)


LEAST_WORDS = 3
# Of what is said, where there are sentences for synthesised voices: so much is recorded speech.
RECORDED_SHARE = 0.25
# How many sentences a speaker may try before the stream is given up.
TRIES = 6


def clean(studio: Studio, rng: np.random.Generator) -> Plan:
    """Nothing but speech."""
    return Plan(_said(studio, 2, 4, rng), pick(TRANSCRIBE, rng))


def noisy(studio: Studio, rng: np.random.Generator) -> Plan:
    """Speech in noise."""
    return replace(clean(studio, rng), noises=studio.beds(rng, share=1.0))


def telephone(studio: Studio, rng: np.random.Generator) -> Plan:
    """Speech over a telephone line."""
    line = Composition(channel=Channel(room_share=0.3, line_share=1.0, codec_share=0.0))
    return replace(clean(studio, rng), noises=studio.beds(rng), composition=line)


def long_form(studio: Studio, rng: np.random.Generator) -> Plan:
    """Much speech, with pauses in which nothing is written."""
    paused = Composition(pause_s=(1.0, 4.0))
    parts = _said(studio, 5, 9, rng)
    return Plan(parts, pick(TRANSCRIBE, rng), noises=studio.beds(rng), composition=paused)


def _said(studio: Studio, least: int, most: int, rng: np.random.Generator) -> tuple[Part, ...]:
    """Return so much speech, each word a cue: recorded, and read aloud by one speaker."""
    recorded = several(_longer(studio), least, most, rng)
    sentences = studio.material.sentences
    if not sentences:
        return tuple(map(studio.words, recorded))
    speaker = studio.speaker(rng)
    return tuple(
        studio.words(prompt)
        if rng.random() < RECORDED_SHARE
        else studio.read_aloud(speaker, several(sentences, TRIES, TRIES, rng), rng)
        for prompt in recorded
    )


def _longer(studio: Studio) -> Sequence[Prompt]:
    """Return what is long enough to be more than a word of a menu."""
    longer = [
        each
        for each in studio.material.spoken("en")
        if len(each.text.split()) >= LEAST_WORDS and "..." not in each.text
    ]
    if not longer:
        raise MaterialMissing(f"the split {studio.material.split} has no longer English speech")
    return longer
