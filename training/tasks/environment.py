"""Environment-aware agent: whoever talks does so somewhere, and that may be talked about."""

from dataclasses import replace

import numpy as np

from soundflow.audio import SAMPLE_RATE_HZ
from soundflow.unified.prompts import NO_PROMPT
from training.composition.timeline import Answer
from training.tasks.chatting import turn
from training.tasks.plan import Plan, Studio, pick
from training.tasks.talk import question
from training.tasks.understanding import sentence

MOST_MUSIC_S = 6
AGENT = (
    NO_PROMPT,
    "Talk with the user, and mind what else is to be heard.",
    "You hear the user and everything around. Answer questions.",
)
BEHIND = (
    *("What is that noise behind me?", "What do you hear in the background?"),
    *("What is in the background?", "Can you tell where I am?", "What is that sound?"),
    *("What is that noise?", "Do you hear that, what is it?", "What is going on around me?"),
    *("What can you hear around me?", "Which sound is behind my voice?", "Where am I right now?"),
    *("Guess where I am.", "What else can you hear?", "What do you hear besides me?"),
    *("Tell me what is in the background.", "Tell me where I am.", "What is this noise?"),
    *("What surrounds me?", "What is it that we hear?", "Name the noise behind me."),
)
WHAT_WAS = (
    *("What was that?", "Did you hear that, what was it?", "What just happened?"),
    *("What made that sound?", "What was that sound?", "Which sound was that?"),
    *("Do you know what that was?", "Tell me what that was.", "What was this noise?"),
    *("What was that noise?", "What did I just hear?", "Can you tell what that was?"),
    *("Name that sound.", "What could that have been?", "Do you know that sound?"),
    *("What did we just hear?", "Please tell me what that was.", "Say what that was."),
)
INSTRUMENT = (
    *("What music is this?", "What do you hear playing?", "Which instrument is this?"),
    *("What is playing?", "What is being played?", "Do you know this music?"),
    *("What kind of music is it?", "Tell me what is playing.", "Name what is playing."),
    *("Can you name this music?", "Which music is playing?", "What instrument do you hear?"),
    *("What is this instrument?", "What am I listening to?", "Is that music?", "What plays there?"),
    *("Please name this music.", "What is it that plays?", "Can you hear music?"),
)


def behind(studio: Studio, rng: np.random.Generator) -> Plan:
    """A question is asked, and then one about what is to be heard all the time."""
    place, speaker = pick(studio.material.places(), rng), studio.speaker(rng)
    asked = studio.material.one_of(BEHIND, rng)
    answer = Answer(sentence(f"it sounds like {place.name}"))
    parts = (
        turn(studio, speaker, question(studio.material, rng)),
        studio.speech(speaker, asked, answer),
    )
    bed = studio.sound(place)
    return Plan(parts, pick(AGENT, rng), noises=(bed, bed))


def under_noise(studio: Studio, rng: np.random.Generator) -> Plan:
    """Questions in noise that has nothing to do with them."""
    speaker = studio.speaker(rng)
    count = int(rng.integers(2, 4))
    parts = [turn(studio, speaker, question(studio.material, rng)) for _ in range(count)]
    return Plan(tuple(parts), pick(AGENT, rng), noises=studio.beds(rng, share=1.0))


def together(studio: Studio, rng: np.random.Generator) -> Plan:
    """A sound, a question about it, and one about something else."""
    sound, speaker = pick(studio.material.events(), rng), studio.speaker(rng)
    asked = studio.material.one_of(WHAT_WAS, rng)
    about = studio.speech(speaker, asked, Answer(sentence(f"that was {sound.name}")))
    other = turn(studio, speaker, question(studio.material, rng))
    heard = studio.sound(sound)
    parts = (heard, about, other) if rng.random() < 0.5 else (other, heard, about)
    return Plan(parts, pick(AGENT, rng), noises=studio.beds(rng))


def music(studio: Studio, rng: np.random.Generator) -> Plan:
    """Music, and a question about it."""
    piece, speaker = pick(studio.material.music(), rng), studio.speaker(rng)
    asked = studio.material.one_of(INSTRUMENT, rng)
    about = studio.speech(speaker, asked, Answer(sentence(f"that is {piece.name}")))
    heard = studio.sound(piece)
    start = int(rng.integers(max(1, len(heard.pcm_S) - MOST_MUSIC_S * SAMPLE_RATE_HZ)))
    excerpt_S = heard.pcm_S[start : start + MOST_MUSIC_S * SAMPLE_RATE_HZ]
    return Plan((replace(heard, pcm_S=excerpt_S, as_it_is=True), about), pick(AGENT, rng))
