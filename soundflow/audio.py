"""Audio as the pipeline sees it: fixed chunks of mono PCM, each with its place in the session.

And the streaming steps that make them: bytes → frames (`FrameDecoder`) → 16 kHz
(`StreamResampler`) → chunks (`Chunker`). Each gives the same samples however its input was cut.
"""

import io
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
CHUNK_MS = 400
CHUNK_SAMPLES = SAMPLE_RATE_HZ * CHUNK_MS // 1000  # 6400

Pcm = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Chunk:
    """One 400 ms step of one session.

    pcm: `(CHUNK_SAMPLES,)` float32 in [-1, 1]; zeros after the first `samples`.
    samples: how many samples are audio; less than CHUNK_SAMPLES only in the last chunk.
    last: no chunk follows.
    """

    session_id: str
    index: int
    pcm: Pcm
    samples: int = CHUNK_SAMPLES
    last: bool = False

    def __post_init__(self) -> None:
        if self.pcm.shape != (CHUNK_SAMPLES,):
            raise ValueError(f"a chunk is {CHUNK_SAMPLES} samples, got {self.pcm.shape=}")

    @property
    def start_ms(self) -> int:
        """Where the chunk starts in the session."""
        return self.index * CHUNK_MS

    @property
    def end_ms(self) -> int:
        """Where the chunk ends in the session; the earliest moment it can be answered."""
        return (self.index + 1) * CHUNK_MS


MIN_SAMPLE_RATE_HZ = 8_000
MAX_SAMPLE_RATE_HZ = 96_000
MAX_CHANNELS = 2

AudioFault = Literal[
    "empty_audio",  # a file without a sample
    "not_audio",  # nothing here can read it, or it holds no audio track
    "bad_rate",  # outside 8 to 96 kHz
    "bad_channels",  # none, or more than can be told apart or mixed
    "bad_samples",  # NaN or infinite
    "odd_length",  # the bytes end within a frame
    "bad_timestamp",  # a jump that no lost or late packet explains
]


class AudioError(ValueError):
    """Audio that cannot be used: `code` is stable, the message says what, where and what to do."""

    def __init__(self, code: AudioFault, message: str) -> None:
        super().__init__(message)
        self.code: AudioFault = code


class Encoding(StrEnum):
    """How raw samples are written; channels are interleaved."""

    PCM_S16LE = "pcm_s16le"
    PCM_F32LE = "pcm_f32le"
    MULAW = "mulaw"
    ALAW = "alaw"

    @property
    def sample_bytes(self) -> int:
        """Size of one sample of one channel."""
        return _SAMPLE_BYTES[self]


_SAMPLE_BYTES = {
    Encoding.PCM_S16LE: 2,
    Encoding.PCM_F32LE: 4,
    Encoding.MULAW: 1,
    Encoding.ALAW: 1,
}


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """What a sender's raw bytes are; AudioError `bad_rate` or `bad_channels` when made wrong."""

    encoding: Encoding = Encoding.PCM_S16LE
    sample_rate_hz: int = SAMPLE_RATE_HZ
    channels: int = 1

    def __post_init__(self) -> None:
        check_sample_rate(self.sample_rate_hz)
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise AudioError(
                "bad_channels", f"{self.channels} channels: send mono or stereo, mix the rest down"
            )

    @property
    def frame_bytes(self) -> int:
        """Size of one frame: one sample of every channel."""
        return self.encoding.sample_bytes * self.channels


def check_sample_rate(sample_rate_hz: int) -> None:
    """Raise AudioError `bad_rate` outside 8 to 96 kHz."""
    if not MIN_SAMPLE_RATE_HZ <= sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
        raise AudioError(
            "bad_rate",
            f"a sample rate of {sample_rate_hz} Hz: send audio at "
            f"{MIN_SAMPLE_RATE_HZ} to {MAX_SAMPLE_RATE_HZ} Hz",
        )


def clean_frames(frames: Pcm, *, at_frame: int, sample_rate_hz: int) -> Pcm:
    """Clip to [-1, 1]; AudioError `bad_samples` names the first NaN or infinity.

    at_frame: how many frames of the stream came before these.
    """
    finite = np.isfinite(frames)
    if not finite.all():
        frame, channel = (int(axis[0]) for axis in np.nonzero(~finite))
        where = at_frame + frame
        raise AudioError(
            "bad_samples",
            f"sample {where} of channel {channel} ({where * 1000 // sample_rate_hz} ms) is "
            f"{frames[frame, channel]}: replace NaN and infinite samples, for instance by 0",
        )
    return np.clip(frames, -1.0, 1.0)


@dataclass(slots=True)
class FrameDecoder:
    """Decode a sender's bytes, cut anywhere, into `(frames, channels)` float32 in [-1, 1].

    rest: the bytes of a frame that the last message began and the next one will finish.
    frames: how many were decoded so far.
    """

    format: AudioFormat
    rest: bytes = b""
    frames: int = 0

    def push(self, data: bytes) -> Pcm:
        """Decode all whole frames; AudioError `bad_samples` drops them and no other."""
        data = self.rest + data
        whole_bytes = len(data) - len(data) % self.format.frame_bytes
        self.rest = data[whole_bytes:]  # also of what is dropped, or all that follows is misread
        samples = _decode(data[:whole_bytes], self.format.encoding)
        frames = clean_frames(
            samples.reshape(-1, self.format.channels),
            at_frame=self.frames,
            sample_rate_hz=self.format.sample_rate_hz,
        )
        self.frames += len(frames)
        return frames

    def finish(self) -> None:
        """End the stream; AudioError `odd_length` when it ends within a frame, which is dropped."""
        rest, self.rest = self.rest, b""
        if rest:
            raise AudioError(
                "odd_length",
                f"the audio ends {len(rest)} bytes into frame {self.frames} of "
                f"{self.format.frame_bytes} bytes: check encoding and channels, or send the rest",
            )


def _decode(data: bytes, encoding: Encoding) -> Pcm:
    match encoding:
        case Encoding.PCM_S16LE:
            return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
        case Encoding.PCM_F32LE:
            return np.frombuffer(data, "<f4").astype(np.float32)
        case Encoding.MULAW | Encoding.ALAW:
            return _G711[encoding][np.frombuffer(data, np.uint8)]


def _g711_table(subtype: str) -> Pcm:
    """Decode each of the 256 codes once by libsndfile: a sample is one byte, the rest is look-up.

    20 times faster than a call of libsndfile for each 20 ms packet.
    """
    codes = io.BytesIO(bytes(range(256)))
    table, _ = soundfile.read(
        codes, format="RAW", subtype=subtype, samplerate=8_000, channels=1, dtype="float32"
    )
    return np.asarray(table, np.float32)


_G711 = {Encoding.MULAW: _g711_table("ULAW"), Encoding.ALAW: _g711_table("ALAW")}


class StreamResampler:
    """Bring `(n, channels)` frames to 16 kHz without a seam: n · 16000 / rate ± 1 in the end.

    The filter looks ahead, so samples leave 10 to 40 ms after they came in (up to 80 ms at 96 kHz,
    none at 16 kHz); `finish` gives the rest.
    """

    def __init__(self, sample_rate_hz: int, *, channels: int) -> None:
        check_sample_rate(sample_rate_hz)
        self._nothing = np.zeros((0, channels), np.float32)
        self._filter = _make_filter(sample_rate_hz, channels)

    def push(self, frames: Pcm) -> Pcm:
        """Resample what the filter can already tell of; in [-1, 1], as overshoot is clipped."""
        if self._filter is None:
            return frames
        resampled: Pcm = self._filter.resample_chunk(np.ascontiguousarray(frames))
        return np.clip(resampled, -1.0, 1.0)

    def finish(self) -> Pcm:
        """Give what the filter still held; no call follows."""
        if self._filter is None:
            return self._nothing
        resampled: Pcm = self._filter.resample_chunk(self._nothing, last=True)
        return np.clip(resampled, -1.0, 1.0)


def _make_filter(sample_rate_hz: int, channels: int) -> soxr.ResampleStream | None:
    if sample_rate_hz == SAMPLE_RATE_HZ:
        return None
    # Below 16 kHz the fixed-rate filter holds samples back in blocks of up to 115 ms, the
    # variable-rate one 30 ms at 8 kHz, flat to 3.7 kHz. Above, the fixed-rate one is exact.
    return soxr.ResampleStream(
        sample_rate_hz, SAMPLE_RATE_HZ, channels, vr=sample_rate_hz < SAMPLE_RATE_HZ
    )


# Shared by all silent chunks, so that an hour of filled silence costs no memory.
_SILENCE: Pcm = np.zeros(CHUNK_SAMPLES, np.float32)
_SILENCE.setflags(write=False)


@dataclass(slots=True)
class Chunker:
    """Cut one channel's 16 kHz samples into the chunks of one session.

    A chunk leaves as soon as its 6,400 samples are there, before it is known whether more will
    follow; so the end is always a chunk of its own, which may hold no sample.
    index: of the next chunk. pending: its samples so far, fewer than CHUNK_SAMPLES.
    """

    session_id: str
    index: int = 0
    pending: Pcm = field(default_factory=lambda: np.zeros(0, np.float32))

    def push(self, samples: Pcm) -> list[Chunk]:
        """Take `(n,)` samples, give every chunk that is now full."""
        samples = np.concatenate([self.pending, samples])
        whole = len(samples) // CHUNK_SAMPLES * CHUNK_SAMPLES
        self.pending = samples[whole:]
        return [self._next(pcm) for pcm in samples[:whole].reshape(-1, CHUNK_SAMPLES)]

    def finish(self) -> Chunk:
        """Give the last chunk: what is pending, 0 to 6,399 samples, then zeros."""
        pcm = np.zeros(CHUNK_SAMPLES, np.float32)
        pcm[: len(self.pending)] = self.pending
        return Chunk(self.session_id, self.index, pcm, samples=len(self.pending), last=True)

    def _next(self, pcm: Pcm) -> Chunk:
        chunk = Chunk(self.session_id, self.index, pcm if pcm.any() else _SILENCE)
        self.index += 1
        return chunk
