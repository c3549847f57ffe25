"""Recorded speech with its text: Asterisk's prompts, and a few other speakers; Debian packages.

`python -m bench.asr_data` fetches them into `data/speech/`. The prompts are Allison Smith's voice,
CC-BY-SA 3.0, 8 kHz. The others are PocketSphinx' own tests: five sentences of a LibriVox reading of
"Sense and Sensibility", public domain, and five of somebody who calls playing cards; 16 kHz.
"""

import gzip
import hashlib
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from soundflow.audio import SAMPLE_RATE_HZ

ROOT = Path(__file__).parents[1] / "data" / "speech"
VOICES = {"en": "en_US_f_Allison", "es": "es_MX_f_Allison"}
LICENCE = "CC-BY-SA 3.0"

SPEAKERS = "pocketsphinx-testdata"
SPEAKERS_TEXTS = ("librivox/transcription", "cards/cards.transcription")
_SAID = re.compile(r"<s> (?P<text>.+?) *</s> \((?P<name>.+)\)")

TEST_PROMPTS = 40
LEAST_WORDS = 3
LONGEST_S = 25.0  # Whisper is given a prompt as one window of 30 s

# Sounds, explanations and alternatives stand in the text in brackets.
NOT_SPOKEN = frozenset("[](){}<>")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One recording. pcm: 16 kHz mono, from 8 kHz."""

    name: str
    text: str
    pcm: NDArray[np.int16]


def load_prompts(split: str, language: str = "en") -> list[Prompt]:
    """Return the `dev` or the `test` prompts, fetched where missing, in a fixed order.

    The split is by a hash of the name. The 40 of `test` are for reporting, never for tuning.
    """
    if split not in ("dev", "test"):
        raise ValueError(f"the splits are dev and test, got {split!r}")
    usable = _usable(language)
    return usable[:TEST_PROMPTS] if split == "test" else usable[TEST_PROMPTS:]


def held_out(may_hold: Callable[[str], bool], language: str = "en") -> list[Prompt]:
    """Return the prompts of which a set may hold the source, in a fixed order."""
    return [prompt for prompt in _usable(language) if may_hold(source(prompt.name))]


def source(name: str) -> str:
    """Return a prompt's source: one for all languages, so that no text is in two splits either."""
    return f"asterisk-core-sounds/{name}"


def speakers() -> Iterator[Prompt]:
    """Yield what other speakers say."""
    folder = _fetched("speakers", SPEAKERS) / "usr/share/pocketsphinx/test/data"
    for listing in map(folder.joinpath, SPEAKERS_TEXTS):
        for said in _SAID.finditer(listing.read_text()):
            name = f"{listing.parent.name}/{said['name']}"
            yield Prompt(name, said["text"], _pcm(folder / f"{name}.wav"))


def fetch(language: str = "en") -> Path:
    """Return the language's folder; needs Debian's package lists when it is not there yet."""
    packages = [f"asterisk-core-sounds-{language}{kind}" for kind in ("", "-wav")]
    return _fetched(language, *packages)


def _fetched(name: str, *packages: str) -> Path:
    """Return the folder of packages, unpacked; in one step, so that nothing is half there."""
    folder = ROOT / name
    if folder.is_dir():
        return folder
    ROOT.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=ROOT) as scratch:
        subprocess.run(["apt-get", "download", "--quiet=2", *packages], cwd=scratch, check=True)
        unpacked = Path(scratch) / name
        for package in Path(scratch).glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", package, unpacked], check=True)
        unpacked.rename(folder)
    return folder


@cache
def _usable(language: str) -> list[Prompt]:
    found = [prompt for prompt in _prompts(fetch(language), language) if _is_usable(prompt)]
    return sorted(found, key=lambda prompt: hashlib.sha256(prompt.name.encode()).digest())


def _prompts(folder: Path, language: str) -> Iterator[Prompt]:
    sounds = folder / "usr/share/asterisk/sounds" / VOICES[language]
    package = f"asterisk-core-sounds-{language}"
    listing = folder / "usr/share/doc" / package / f"core-sounds-{language}.txt.gz"
    with gzip.open(listing, "rt", encoding="utf-8") as lines:
        for line in lines:
            name, colon, text = line.partition(":")
            file = sounds / f"{name}.wav"
            if colon and not line.startswith(";") and file.is_file():
                yield Prompt(name, text.strip(), _pcm(file))


def _pcm(file: Path) -> NDArray[np.int16]:
    samples, rate_hz = soundfile.read(file, dtype="int16")
    pcm: NDArray[np.int16] = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ)
    return pcm


def _is_usable(prompt: Prompt) -> bool:
    enough = len(prompt.text.split()) >= LEAST_WORDS
    short = len(prompt.pcm) <= LONGEST_S * SAMPLE_RATE_HZ
    return enough and short and not NOT_SPOKEN & set(prompt.text)


if __name__ == "__main__":
    for each in VOICES:
        print(fetch(each))
    print(_fetched("speakers", SPEAKERS))
