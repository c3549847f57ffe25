"""What a sub-task gives: the parts of a stream and its instruction; and what it is made with.

Shape suffix: S samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from soundflow.audio import SAMPLE_RATE_HZ, Pcm
from training.compose import Composition, Cue, Part, Stream, compose
from training.composition.timeline import Answer
from training.corpora.material import Material, Prompt, Sound
from training.curation.recordings import Recording, read_pcm, text_source
from training.curation.tfjp import UnusableClipError
from training.synth import Booth, NotUnderstood, Speaker

# Below the loudest, before the first and after the last of which a clip of speech is silent.
VOICE_DB = 40.0
FRAME_SAMPLES = SAMPLE_RATE_HZ // 100
BED_SHARE = 0.5
SYNTHESISED = "synthesised"

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Plan:
    """A stream to be composed. system: the typed instruction; "" = none.

    kind: in which file of a corpus it goes (`training.data.KINDS`).
    """

    foreground: tuple[Part, ...]
    system: str
    background: tuple[Part, ...] = ()
    ambient: tuple[Part, ...] = ()
    noises: tuple[Part, Part] | None = None
    composition: Composition = field(default_factory=Composition)
    kind: str = "base"

    def composed(self, seed: int) -> Stream:
        """Return the stream."""
        return compose(
            self.foreground,
            seed,
            background=self.background,
            ambient=self.ambient,
            noises=self.noises,
            composition=self.composition,
        )


@dataclass(frozen=True, slots=True)
class Studio:
    """What streams are made with: the material of one split, and voices.

    checked_share: of the sentences that are read aloud, so many are kept only if understood.
    """

    material: Material
    booth: Booth
    checked_share: float = 1.0

    def sound(self, sound: Sound, *answers: Answer) -> Part:
        """Return a recorded sound, answered when it is over."""
        pcm_S = _read(sound.recording.path)
        return Part(sound.recording, pcm_S, tuple(Cue(answer) for answer in answers))

    def speech(self, speaker: Speaker, text: str, *answers: Answer) -> Part:
        """Return a text as it is said, answered at its end. NotUnderstood, VoiceError."""
        pcm_S = voiced(self.booth.say(speaker, text))
        recording = _spoken(speaker, text)
        return Part(recording, pcm_S, tuple(Cue(answer) for answer in answers), as_it_is=True)

    def prompt(self, prompt: Prompt, *answers: Answer) -> Part:
        """Return recorded speech, answered at its end."""
        pcm_S = voiced(_read(prompt.recording.path))
        cues = tuple(Cue(answer) for answer in answers)
        return Part(prompt.recording, pcm_S, cues, as_it_is=True)

    def read_aloud(
        self, speaker: Speaker, sentences: Sequence[Recording], rng: np.random.Generator
    ) -> Part:
        """Return the first of some sentences that is understood, each word a cue where it ends.

        NotUnderstood where none is, VoiceError.
        """
        for sentence in sentences:
            try:
                if rng.random() < self.checked_share:
                    pcm_S = voiced(self.booth.say(speaker, sentence.label, retries=0))
                else:
                    pcm_S = voiced(self.booth.read(speaker, sentence.label))
                cues = tuple(self._word_cues(pcm_S, sentence.label))
            except NotUnderstood:
                continue
            recording = _spoken(speaker, sentence.label, f"{sentence.licence}, ")
            return Part(recording, pcm_S, cues, as_it_is=True)
        raise NotUnderstood(f"{speaker.voice.name}: none of {len(sentences)} sentences")

    def words(self, prompt: Prompt) -> Part:
        """Return recorded English, each word written down where it ends."""
        part = self.prompt(prompt)
        return replace(part, cues=tuple(self._word_cues(part.pcm_S, prompt.text)))

    def sentences(self, prompt: Prompt, said: Sequence[str], answers: Sequence[str]) -> Part:
        """Return recorded English of some sentences, each answered where it ends."""
        part = self.prompt(prompt)
        ends = [cue.end for cue in self._word_cues(part.pcm_S, " ".join(said))]
        lasts = np.cumsum([len(sentence.split()) for sentence in said]) - 1
        cues = [Cue(Answer(text), ends[n]) for n, text in zip(lasts, answers, strict=True)]
        return replace(part, cues=tuple(cues))

    def speaker(self, rng: np.random.Generator) -> Speaker:
        """Draw who speaks in a dialogue."""
        return Speaker.drawn(self.booth.voices, rng)

    def beds(self, rng: np.random.Generator, share: float = BED_SHARE) -> tuple[Part, Part] | None:
        """Draw the noise under a stream; of so many streams."""
        places = self.material.places()
        first, second = (self.sound(pick(places, rng)) for _ in range(2))
        return (first, second) if rng.random() < share else None

    def _word_cues(self, pcm_S: Pcm, text: str) -> Sequence[Cue]:
        """NotUnderstood where the recogniser finds other words than those of the text."""
        words = self.booth.recogniser.align(pcm_S, text)
        if [word.text.strip() for word in words] != text.split():
            raise NotUnderstood(f"the words of {text!r} were not found one by one")
        ends = np.maximum.accumulate([word.end_ms for word in words]) * SAMPLE_RATE_HZ // 1000
        return [
            Cue(Answer(word.text.strip()), min(max(int(end), 1), len(pcm_S)), joins=True)
            for word, end in zip(words, ends, strict=True)
        ]


Task = Callable[[Studio, np.random.Generator], Plan]


def pick(items: Sequence[ItemT], rng: np.random.Generator) -> ItemT:
    """Draw one."""
    return items[int(rng.integers(len(items)))]


def several(
    items: Sequence[ItemT], least: int, most: int, rng: np.random.Generator
) -> Sequence[ItemT]:
    """Draw some, none of them twice as long as there are enough."""
    count = int(rng.integers(least, most + 1))
    order = [int(place) for place in rng.permutation(len(items))]
    return [items[order[n % len(order)]] for n in range(count)]


def _spoken(speaker: Speaker, text: str, licence: str = "") -> Recording:
    told = f"{licence}{SYNTHESISED} by {speaker.voice.name}"
    return Recording(Path(), text, text_source(text), told)


def voiced(pcm_S: Pcm) -> Pcm:
    """Cut off the silence before and after speech, so that its end is where it is over.

    UnusableClipError where there is nothing else.
    """
    frames = np.pad(pcm_S, (0, -len(pcm_S) % FRAME_SAMPLES)).reshape(-1, FRAME_SAMPLES)
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    loud = np.flatnonzero(power > power.max(initial=0.0) * 10 ** (-VOICE_DB / 10))
    if not len(loud):
        raise UnusableClipError("there is no voice in a clip of speech")
    return pcm_S[loud[0] * FRAME_SAMPLES : (loud[-1] + 1) * FRAME_SAMPLES]


@lru_cache(maxsize=512)
def _read(path: Path) -> Pcm:
    """Read a recording once; nobody may write into it."""
    pcm_S = read_pcm(path)
    pcm_S.flags.writeable = False
    return pcm_S
