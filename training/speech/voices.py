"""Voices that read text aloud: those of the synthesisers installed on this machine, as a port.

Shape suffix: S samples.
"""

import io
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np
import soundfile
import soxr

from soundflow.audio import SAMPLE_RATE_HZ, Pcm

TIMEOUT_S = 60.0


class VoiceError(Exception):
    """There is no voice, or it failed."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How something is said. pace: 1.0 = as the voice is; 1.2 = a fifth faster. pitch: likewise.

    resonance: likewise of the vocal tract's resonances, which are higher the shorter it is: the
    same voice as that of a smaller or a larger person.
    """

    pace: float = 1.0
    pitch: float = 1.0
    resonance: float = 1.0

    @property
    def before_resampling(self) -> "Manner":
        """How a synthesiser is to speak whose voice is then resampled for its resonances.

        Resampling changes pace and pitch by as much, so it is taken off them beforehand.
        """
        return Manner(self.pace / self.resonance, self.pitch / self.resonance)


class Voice(Protocol):
    """Somebody who can speak."""

    @property
    def name(self) -> str:
        """What the voice is called; the same on every machine."""
        ...

    def say(self, text: str, manner: Manner) -> Pcm:
        """Return the text, spoken, as 16 kHz mono; the same each time. VoiceError."""
        ...


@dataclass(frozen=True, slots=True)
class FliteVoice:
    """One of Flite's voices. pitch_hz: its mean, as it is."""

    speaker: str
    pitch_hz: float

    @property
    def name(self) -> str:
        """See `Voice.name`."""
        return f"flite-{self.speaker}"

    def say(self, text: str, manner: Manner) -> Pcm:
        """See `Voice.say`."""
        spoken = manner.before_resampling
        with TemporaryDirectory() as folder:
            said, heard = Path(folder, "said.txt"), Path(folder, "heard.wav")
            said.write_text(text, encoding="utf-8")
            _run(
                *("flite", "-voice", self.speaker, "-f", str(said), "-o", str(heard)),
                *("--setf", f"duration_stretch={1 / spoken.pace:.3f}"),
                *("--setf", f"int_f0_target_mean={self.pitch_hz * spoken.pitch:.1f}"),
            )
            return _read(heard.read_bytes(), self.name, manner.resonance)


@dataclass(frozen=True, slots=True)
class EspeakVoice:
    """One of eSpeak NG's voices, as `en-gb+f3`."""

    speaker: str

    @property
    def name(self) -> str:
        """See `Voice.name`."""
        return f"espeak-ng-{self.speaker}"

    def say(self, text: str, manner: Manner) -> Pcm:
        """See `Voice.say`."""
        spoken = manner.before_resampling
        wav = _run(
            *("espeak-ng", "-v", self.speaker, "--stdout", "--stdin"),
            *("-s", str(round(165 * spoken.pace)), "-p", str(round(50 * spoken.pitch))),
            given=text,
        )
        return _read(wav, self.name, manner.resonance)


POOL: tuple[tuple[str, tuple[Voice, ...]], ...] = (
    (
        "flite",
        tuple(
            FliteVoice(*each)
            for each in (
                *(("slt", 180.0), ("rms", 100.0), ("awb", 130.0), ("kal16", 105.0)),
                ("kal", 105.0),
            )
        ),
    ),
    (
        "espeak-ng",
        tuple(map(EspeakVoice, ("en-gb", "en-us", "en-us+f3", "en-gb+m3", "en-us+m7"))),
    ),
)


def installed_voices() -> Sequence[Voice]:
    """Return the voices of the synthesisers that are installed. VoiceError where there is none."""
    found = [voice for program, voices in POOL if shutil.which(program) for voice in voices]
    if not found:
        packages = " or ".join(f"`{program}`" for program, _ in POOL)
        raise VoiceError(f"nothing here can speak: install {packages} (Debian: apt-get install)")
    return found


def _run(*command: str, given: str = "") -> bytes:
    try:
        done = subprocess.run(
            command, input=given.encode(), capture_output=True, check=True, timeout=TIMEOUT_S
        )
    except FileNotFoundError as error:
        raise VoiceError(f"{command[0]} is not installed: apt-get install {command[0]}") from error
    except subprocess.SubprocessError as error:
        raise VoiceError(f"{command[0]} failed: {error}") from error
    return done.stdout


def _read(wav: bytes, name: str, resonance: float) -> Pcm:
    try:
        samples, rate_hz = soundfile.read(io.BytesIO(wav), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise VoiceError(f"{name} gave no audio: {error}") from error
    played_hz = rate_hz * resonance
    pcm_S: Pcm = soxr.resample(samples.mean(axis=1), played_hz, SAMPLE_RATE_HZ).astype(np.float32)
    return pcm_S
