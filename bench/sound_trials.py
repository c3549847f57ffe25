"""Trials: one recording put somewhere into a background, the way a microphone would meet it."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from bench.sounds_data import folder, load
from soundflow.audio import SAMPLE_RATE_HZ, Pcm

TELEPHONE_HZ = 8_000
BEFORE_S, AFTER_S = 2.0, 3.0
LONGEST_S = 8.0
ROOM_NOISE_DB = -75.0
BEDS = ("office-ambience", "city-ambience", "forest-ambience", "crowded-room")


@dataclass(frozen=True, slots=True)
class Condition:
    """How a sound is heard.

    level_db: RMS of its loud part, below full scale.
    snr_db: by how much that is above the background; None for a quiet room.
    """

    name: str
    level_db: float = -20.0
    snr_db: float | None = None
    telephone: bool = False


NEAR = Condition("near")
CONDITIONS = (
    NEAR,
    Condition("far", level_db=-34.0),
    Condition("20 dB", snr_db=20.0),
    Condition("10 dB", snr_db=10.0),
    Condition("telephone", telephone=True),
)


@dataclass(frozen=True, slots=True)
class Trial:
    """What is played. onset_ms: where the sound begins in it."""

    pcm: Pcm
    onset_ms: float


def trials_of(sound: Pcm, condition: Condition, *, positions: int, seed: int) -> Iterator[Trial]:
    """Yield the sound at several places, each time over another background."""
    for position in range(positions):
        yield _trial(sound, condition, np.random.default_rng([seed, position]), position)


def bed(number: int) -> Pcm:
    """Return one of the recorded backgrounds."""
    return load(folder("livekit-agents==1.8.9") / f"{BEDS[number % len(BEDS)]}.ogg")


def at_level(sound: Pcm, level_db: float) -> Pcm:
    """Scale a sound so that its loud part has a level."""
    scaled: Pcm = sound * np.float32(10 ** ((level_db - loud_part_db(sound)) / 20))
    return scaled


def loud_part_db(sound: Pcm) -> float:
    """Return the RMS of those 25 ms frames that are within 13 dB of the loudest."""
    frame = SAMPLE_RATE_HZ // 40
    frames = np.resize(sound, (max(1, sound.size // frame), frame)).astype(np.float64)
    power = np.square(frames).mean(axis=1)
    return float(10 * np.log10(power[power >= power.max() / 20].mean()))


def _trial(sound: Pcm, condition: Condition, rng: np.random.Generator, position: int) -> Trial:
    sound = at_level(sound[: int(LONGEST_S * SAMPLE_RATE_HZ)], condition.level_db)
    before = int((BEFORE_S + rng.uniform(0.0, 0.8)) * SAMPLE_RATE_HZ)
    pcm = np.pad(sound, (before, int(AFTER_S * SAMPLE_RATE_HZ)))
    pcm = pcm + _background(pcm.size, condition, rng, position)
    if condition.telephone:
        pcm = _telephone(pcm)
    audible = np.abs(sound) > 0.1 * np.abs(sound).max()
    return Trial(pcm, (before + int(audible.argmax())) / SAMPLE_RATE_HZ * 1000)


def _background(size: int, condition: Condition, rng: np.random.Generator, position: int) -> Pcm:
    if condition.snr_db is None:
        return rng.normal(0.0, 10 ** (ROOM_NOISE_DB / 20), size).astype(np.float32)
    noise = np.resize(np.roll(bed(position), int(rng.integers(1 << 20))), size)
    return at_level(noise, condition.level_db - condition.snr_db)


def _telephone(pcm: Pcm) -> Pcm:
    """Send a sound through µ-law at 8 kHz."""
    file = io.BytesIO()
    narrow = soxr.resample(pcm, SAMPLE_RATE_HZ, TELEPHONE_HZ)
    soundfile.write(file, narrow, TELEPHONE_HZ, format="WAV", subtype="ULAW")
    file.seek(0)
    coded, _ = soundfile.read(file, dtype="float32")
    heard: Pcm = soxr.resample(coded, TELEPHONE_HZ, SAMPLE_RATE_HZ).astype(np.float32)
    return heard
