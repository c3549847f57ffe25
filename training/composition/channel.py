"""What lies between a sound and whoever hears it: a room, a telephone line, a codec.

All of it keeps every sample in its place, so that whatever is known of a stream's times stays true.
Shape suffix: S samples.
"""

import io
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import soundfile
import soxr

from soundflow.audio import SAMPLE_RATE_HZ, Pcm

LINE_RATE_HZ = 8_000
# Of a room: its echoes' power falls by 60 dB in this long.
DECAY_S = (0.15, 0.8)
# How far the echoes' power lies below that of the direct sound.
ECHO_DB = (-14.0, -3.0)
FIRST_ECHO_S = 0.004
COMPRESSION = (0.3, 0.95)


class Codec(StrEnum):
    """How audio is carried."""

    MU_LAW = "mu-law"
    A_LAW = "a-law"
    GSM = "gsm"
    OPUS = "opus"
    MP3 = "mp3"


LINE_CODECS = (Codec.MU_LAW, Codec.A_LAW, Codec.GSM)
WIDE_CODECS = (Codec.OPUS, Codec.MP3)

# (container, coding) as libsndfile names them.
_FORMATS = {
    Codec.MU_LAW: ("WAV", "ULAW"),
    Codec.A_LAW: ("WAV", "ALAW"),
    Codec.GSM: ("WAV", "GSM610"),
    Codec.OPUS: ("OGG", "OPUS"),
    Codec.MP3: ("MP3", "MPEG_LAYER_III"),
}


@dataclass(frozen=True, slots=True)
class Channel:
    """How often a stream has been through what; the three are drawn one by one."""

    room_share: float = 0.3
    line_share: float = 0.15
    codec_share: float = 0.2


CLEAR = Channel(0.0, 0.0, 0.0)


def carried(pcm_S: Pcm, channel: Channel, rng: np.random.Generator) -> Pcm:
    """Let a stream go through what is drawn for it."""
    in_room, on_line, is_coded = rng.random(3)
    if in_room < channel.room_share:
        pcm_S = reverberated(pcm_S, rng.uniform(*DECAY_S), rng.uniform(*ECHO_DB), rng)
    if on_line < channel.line_share:
        return telephoned(pcm_S, LINE_CODECS[int(rng.integers(len(LINE_CODECS)))])
    if is_coded < channel.codec_share:
        codec = WIDE_CODECS[int(rng.integers(len(WIDE_CODECS)))]
        return coded(pcm_S, codec, compression=rng.uniform(*COMPRESSION))
    return pcm_S


def reverberated(pcm_S: Pcm, decay_s: float, echo_db: float, rng: np.random.Generator) -> Pcm:
    """Add the echoes of a room, which die away like noise; the direct sound stays as it is."""
    samples = round(decay_s * SAMPLE_RATE_HZ)
    time_s = np.arange(samples) / SAMPLE_RATE_HZ
    echoes_S = rng.normal(size=samples) * 10 ** (-3 * time_s / decay_s)
    echoes_S[: round(FIRST_ECHO_S * SAMPLE_RATE_HZ)] = 0.0
    echoes_S *= 10 ** (echo_db / 20) / np.sqrt(np.square(echoes_S).sum())
    echoes_S[0] = 1.0
    size = len(pcm_S) + samples
    heard_S = np.fft.irfft(np.fft.rfft(pcm_S, size) * np.fft.rfft(echoes_S, size), size)
    return heard_S[: len(pcm_S)].astype(np.float32)


def telephoned(pcm_S: Pcm, codec: Codec) -> Pcm:
    """Let audio go over a line of 8 kHz."""
    line_S = soxr.resample(pcm_S, SAMPLE_RATE_HZ, LINE_RATE_HZ)
    return _fitted(
        soxr.resample(coded(line_S, codec, LINE_RATE_HZ), LINE_RATE_HZ, SAMPLE_RATE_HZ), len(pcm_S)
    )


def coded(pcm_S: Pcm, codec: Codec, rate_hz: int = SAMPLE_RATE_HZ, compression: float = 0.5) -> Pcm:
    """Encode and decode audio. compression: from 0 to 1; of Opus and MP3 alone."""
    container, coding = _FORMATS[codec]
    file = io.BytesIO()
    level = compression if codec in WIDE_CODECS else None
    clipped_S = np.clip(pcm_S, -1.0, 1.0)
    soundfile.write(
        file, clipped_S, rate_hz, format=container, subtype=coding, compression_level=level
    )
    file.seek(0)
    heard_S, heard_rate_hz = soundfile.read(file, dtype="float32")
    if heard_rate_hz != rate_hz:
        raise ValueError(f"{codec} gives {heard_rate_hz} Hz back for {rate_hz}")
    return _fitted(heard_S, len(pcm_S))


def _fitted(pcm_S: Pcm, samples: int) -> Pcm:
    """Make up for what a codec adds or takes at the end."""
    fitted_S: Pcm = np.pad(pcm_S, (0, max(0, samples - len(pcm_S))))[:samples]
    return fitted_S.astype(np.float32)
