"""Made-up material for tests: sounds of tones, speech of tones, and who speaks with an echo."""

from pathlib import Path

import numpy as np
import soundfile

from soundflow.audio import SAMPLE_RATE_HZ
from soundflow.cascade.policy import POLICY
from tests.training.echo import Echo
from training.corpora.material import read_material
from training.curation.recordings import Entry, Kind, Recording, Split, split_of, write_table
from training.tasks.plan import Studio

ADVICE = {row.name: row.advice for row in POLICY}
EVENTS = (
    *("dog", "cat", "horse", "door", "laughter", "duck", "clapping", "sheep"),
    *("scream", "large fire", "thunder"),
)
WARNINGS = {"scream": "scream", "large fire": "fire", "thunder": "thunder"}
SPEECH = (
    ("Please enter your number. Thank you.", "Por favor ingrese su numero. Gracias."),
    ("The conference is locked. Please wait.", "La conferencia esta bloqueada. Espere."),
    ("You have no new messages.", "No tiene mensajes nuevos."),
    ("Your call is important.", "Su llamada es importante."),
    ("Press the star key to go on.", "Marque la tecla de estrella."),
)


def write_material(folder: Path, split: Split = Split.TRAIN) -> Path:
    """Write a table of sounds and speech of a split."""
    entries: list[Entry] = []

    def add(label: str, kind: Kind, warning: str, language: str, key: str, seconds: float) -> None:
        number = len(entries)
        path, source = folder / f"{number}.wav", _source(key or str(number), split)
        time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        tone = 0.3 * np.sin(2 * np.pi * (250 + 37 * number) * time)
        soundfile.write(path, tone, SAMPLE_RATE_HZ)
        recording = Recording(path, label, source, "CC0", seconds)
        entries.append(Entry(recording, kind, warning, language, key))

    for number, label in enumerate(EVENTS):
        warning = ADVICE[WARNINGS[label]] if label in WARNINGS else ""
        add(label, Kind.EVENT, warning, "", "", 0.5 + 0.1 * number)
    add("rain", Kind.PLACE, "", "", "", 3.0)
    add("an office", Kind.PLACE, "", "", "", 2.0)
    add("a piano", Kind.MUSIC, "", "", "", 3.0)
    for key, (english, spanish) in enumerate(SPEECH):
        add(english, Kind.SPEECH, "", "en", f"prompt {key}", 1.0 + 0.3 * key)
        add(spanish, Kind.SPEECH, "", "es", f"prompt {key}", 1.2 + 0.3 * key)
    table = folder / "material.csv"
    write_table(table, entries)
    return table


def made_studio(folder: Path, split: Split = Split.TRAIN) -> Studio:
    """Return a studio of that material."""
    return Studio(read_material([write_material(folder, split)], split), Echo().booth())


def _source(name: str, split: Split) -> str:
    tried = (f"{name}/{number}" for number in range(1000))
    return next(source for source in tried if split_of(source) is split)
