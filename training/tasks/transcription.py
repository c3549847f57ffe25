"""Real-time ASR: recorded speech, each word written down in the chunk in which it ends."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from training.compose import Composition
from training.composition.channel import Channel
from training.corpora.material import MaterialMissing, Prompt
from training.tasks.plan import Plan, Studio, pick, several

TRANSCRIBE = (
    "Transcribe what is said.",
    "Write down every word that you hear.",
    "Transcribe the speech in real time.",
)


LEAST_WORDS = 3


def clean(studio: Studio, rng: np.random.Generator) -> Plan:
    """Nothing but speech."""
    prompts = several(_longer(studio), 2, 4, rng)
    return Plan(tuple(map(studio.words, prompts)), pick(TRANSCRIBE, rng))


def noisy(studio: Studio, rng: np.random.Generator) -> Plan:
    """Speech in noise."""
    return replace(clean(studio, rng), noises=studio.beds(rng, share=1.0))


def telephone(studio: Studio, rng: np.random.Generator) -> Plan:
    """Speech over a telephone line."""
    line = Composition(channel=Channel(room_share=0.3, line_share=1.0, codec_share=0.0))
    return replace(clean(studio, rng), noises=studio.beds(rng), composition=line)


def long_form(studio: Studio, rng: np.random.Generator) -> Plan:
    """Much speech, with pauses in which nothing is written."""
    prompts = several(_longer(studio), 5, 9, rng)
    paused = Composition(pause_s=(1.0, 4.0))
    parts = tuple(map(studio.words, prompts))
    return Plan(parts, pick(TRANSCRIBE, rng), noises=studio.beds(rng), composition=paused)


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
