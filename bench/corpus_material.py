"""The table that training corpora are made from: this project's recorded sounds and speech.

`python -m bench.corpus_material` fetches what is missing and writes `data/material.csv`.
"""

import gzip
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import soundfile

from bench import asr_data, sounds_data
from bench.sounds_data import Clip
from soundflow.cascade.policy import POLICY
from training.curation.recordings import Entry, Kind, Recording, write_table

ROOT = Path(__file__).parents[1] / "data"
TABLE = ROOT / "material.csv"
KINDS = {"ambience": Kind.PLACE, "music": Kind.MUSIC, "instruments": Kind.MUSIC}
NOT_USED = frozenset({"desktop sounds"})
# A place goes on; what is called so by its sound, too.
PLACES = frozenset({"rain", "river", "stream", "sea", "harbour"})
# What a label is better called, so that its sound is told right; "" = that is not certain.
RENAMED = {
    "car crash": "smash",
    "crow": "caw",
    "heron greatblue flying": "wings flapping",
    "sea lion": "",
    "step on glass": "",
    "tool breaking": "",
    "ring": "",
    "water": "",
    "campfire": "fire crackling",
    "city ambience": "a city",
    "crowded room": "a crowded room",
    "forest ambience": "a forest",
    "office ambience": "an office",
    "harbour": "a harbour",
    "river": "a river",
    "stream": "a stream",
    "sea": "the sea",
}
INSTRUMENTS_OF = frozenset({"gcompris-qt-data", "tuxpaint-stamps-default"})
EVENT_S, SPEECH_S = (0.2, 7.0), (0.6, 9.0)


def main() -> None:
    """Write the table."""
    sounds_data.fetch()
    speech = (entry for language in asr_data.VOICES for entry in _speech(language))
    print(f"{TABLE}: {write_table(TABLE, chain(_sounds(), speech))} recordings")


def learnable(clips: Sequence[Clip]) -> list[Clip]:
    """Leave out the dangerous sounds that the cascade is tested on, where others are like them.

    There are too few to leave it to chance which split has some.
    """
    alike = {clip.row for clip in clips if clip.row and clip.split == "dev"}
    return [clip for clip in clips if clip.split == "dev" or clip.row not in alike]


def _sounds() -> Iterator[Entry]:
    advice = {row.name: row.advice for row in POLICY}
    for clip in learnable(sounds_data.clips()):
        path = sounds_data.folder(clip.package) / clip.file
        duration_s = round(soundfile.info(path).duration, 2)
        kind = Kind.PLACE if clip.label in PLACES else KINDS.get(clip.group, Kind.EVENT)
        label = RENAMED.get(clip.label, clip.label)
        if (
            clip.group in NOT_USED
            or not label
            or (kind is Kind.EVENT and not EVENT_S[0] <= duration_s <= EVENT_S[1])
        ):
            continue
        package = clip.package.partition("==")[0]
        if kind is Kind.MUSIC and not (label := _music(clip, package)):
            continue
        source = f"{package}/{clip.file}"
        warning = advice[clip.row] if clip.row else ""
        yield Entry(Recording(path, label, source, clip.licence, duration_s), kind, warning)


def _music(clip: Clip, package: str) -> str:
    """Say what is played; "" where its name is that of a sample, not of an instrument."""
    if clip.group == "music":
        return "music"
    if package not in INSTRUMENTS_OF:
        return ""
    return f"{'an' if clip.label[0] in 'aeiou' else 'a'} {clip.label}"


def _speech(language: str) -> Iterator[Entry]:
    folder = asr_data.fetch(language)
    sounds = folder / "usr/share/asterisk/sounds" / asr_data.VOICES[language]
    package = f"asterisk-core-sounds-{language}"
    listing = folder / "usr/share/doc" / package / f"core-sounds-{language}.txt.gz"
    with gzip.open(listing, "rt", encoding="utf-8") as lines:
        for line in lines:
            key, colon, text = (part.strip() for part in line.partition(":"))
            path = sounds / f"{key}.wav"
            text = " ".join(text.split())
            usable = colon and text and not line.startswith(";") and path.is_file()
            if not usable or asr_data.NOT_SPOKEN & set(text):
                continue
            duration_s = round(soundfile.info(path).duration, 2)
            if not SPEECH_S[0] <= duration_s <= SPEECH_S[1]:
                continue
            source = asr_data.source(key)
            recording = Recording(path, text, source, asr_data.LICENCE, duration_s)
            yield Entry(recording, Kind.SPEECH, language=language, key=key)


if __name__ == "__main__":
    main()
