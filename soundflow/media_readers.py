"""The two libraries that decode files, behind one interface: PyAV (FFmpeg) and libsndfile."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, Protocol

import av
import numpy as np
import soundfile

from soundflow.audio import (
    MAX_CHANNELS,
    AudioError,
    Pcm,
    check_sample_rate,
    clean_frames,
)
from soundflow.intake import MAX_GAP_MS

MAX_SURROUND_CHANNELS = 6  # 5.1; more is more often a broken header than a film
# FFmpeg adds the channels of 5.1 as 1 + 2/√2 + 2/2 (measured: a test holds it to that); this
# keeps the loudest sum at full scale.
SURROUND_GAIN = 1 / (2 + math.sqrt(2))
# A playlist is a container to FFmpeg, and names files to open: it must not open ours.
OPEN_NOTHING_ELSE = {"protocol_whitelist": "none"}
# Containers whose header tells the length; others leave it to be guessed from size and bit rate.
LENGTH_IN_HEADER = {"flac", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"}
# Timestamps of containers are rounded, and some wander; a smaller hole is no hole.
MIN_HOLE_S = 0.1


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a file says of its audio track. duration_ms: None where unknown, as in a pipe."""

    container: str
    codec: str
    sample_rate_hz: int
    channels: int
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class MediaWarning:
    """What was wrong with a file that could be read all the same, for a person to read."""

    code: Literal["truncated", "damaged"]
    message: str


@dataclass(frozen=True, slots=True)
class Block:
    """Decoded `(n, columns)` frames, and the silence that the track's timestamps put before."""

    frames: Pcm
    silence_ms: int = 0


class Reader(Protocol):
    """An open file in one of the libraries."""

    @property
    def info(self) -> MediaInfo:
        """What the file says of itself."""
        ...

    @property
    def columns(self) -> int:
        """Channels of the blocks: those of the file, or 1 where more than two were mixed."""
        ...

    def blocks(self, warnings: list[MediaWarning]) -> Iterator[Block]:
        """Decode once from start to end; what is wrong on the way goes to `warnings`.

        AudioError `bad_samples`.
        """
        ...

    def close(self) -> None:
        """Release the library's memory; the file itself stays open."""
        ...


class PyavReader:
    """The best audio track of a container, through FFmpeg; up to 5.1, which is mixed to mono."""

    def __init__(self, file: BinaryIO, *, is_pipe: bool) -> None:
        try:
            self._container = av.open(
                file, "r", options=OPEN_NOTHING_ELSE, metadata_errors="ignore"
            )
        except av.FFmpegError as error:
            raise AudioError("not_audio", f"FFmpeg: {error.strerror}") from error
        stream = self._container.streams.best("audio")
        # Without a decoder for the track there is no context, whatever the library's types say.
        if not isinstance(stream, av.AudioStream) or not stream.codec_context:
            tracks = ", ".join(track.type for track in self._container.streams) or "none"
            raise AudioError("not_audio", f"no audio track that FFmpeg decodes, among: {tracks}")
        self._stream = stream
        self._length_s = 0.0 if is_pipe else self._declared_length_s()
        self.info = self._describe()
        self.columns = self.info.channels if self.info.channels <= MAX_CHANNELS else 1
        self._converters: dict[tuple[str, str, int], av.AudioResampler] = {}

    def blocks(self, warnings: list[MediaWarning]) -> Iterator[Block]:
        """Decode packet by packet; one that cannot be decoded is left out, and told."""
        rate_hz = self.info.sample_rate_hz
        clock = _TrackClock()
        samples = 0
        silence_s = 0.0
        for source in self._decode(warnings):
            silence_ms = clock.hole_ms(source)
            silence_s += silence_ms / 1000
            frames = clean_frames(self._convert(source), at_frame=samples, sample_rate_hz=rate_hz)
            samples += len(frames)
            yield Block(frames, silence_ms)
        held_s = samples / rate_hz + silence_s
        if self._declares_length and held_s < self._length_s - MIN_HOLE_S:
            message = f"the file says it lasts {self._length_s:.1f} s, but holds {held_s:.1f} s"
            warnings.append(MediaWarning("truncated", message))

    def close(self) -> None:
        """Close the container."""
        self._container.close()

    def _describe(self) -> MediaInfo:
        codec = self._stream.codec_context
        check_sample_rate(codec.sample_rate)
        if not 1 <= codec.channels <= MAX_SURROUND_CHANNELS:
            raise AudioError(
                "bad_channels", f"{codec.channels} channels: mix the file down to stereo or 5.1"
            )
        return MediaInfo(
            container=self._container.format.name,
            codec=codec.name,
            sample_rate_hz=codec.sample_rate,
            channels=codec.channels,
            duration_ms=round(self._length_s * 1000) or None,
        )

    def _declared_length_s(self) -> float:
        """Give the track's length, else the file's; 0 where neither is known."""
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        return (self._container.duration or 0) / av.time_base

    @property
    def _declares_length(self) -> bool:
        """Whether the length is a promise for this track, not an estimate from the file's size."""
        is_its_own = bool(self._stream.duration) or len(self._container.streams) == 1
        return is_its_own and self.info.container in LENGTH_IN_HEADER

    def _decode(self, warnings: list[MediaWarning]) -> Iterator[av.AudioFrame]:
        damaged_packets = 0
        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    damaged_packets += 1
                    continue
                yield from (frame for frame in frames if isinstance(frame, av.AudioFrame))
        except av.FFmpegError as error:
            warnings.append(MediaWarning("damaged", f"reading broke off: {error.strerror}"))
        except IndexError:  # PyAV's, at the end, of a track that was not there at the start
            warnings.append(MediaWarning("damaged", "a track that begins midway is left out"))
        if damaged_packets:
            warnings.append(
                MediaWarning("damaged", f"{damaged_packets} packets could not be decoded")
            )

    def _convert(self, source: av.AudioFrame) -> Pcm:
        """Give a frame of any sample format as `(n, columns)` float32."""
        # A chained stream may change its format midway, which one converter would refuse.
        kind = (source.format.name, source.layout.name, source.sample_rate)
        if kind not in self._converters:
            layout = "stereo" if self.columns == 2 else "mono"
            self._converters[kind] = av.AudioResampler("flt", layout, self.info.sample_rate_hz)
        parts = [part.to_ndarray() for part in self._converters[kind].resample(source)]
        samples = np.concatenate([np.zeros((1, 0), np.float32), *parts], axis=1, dtype=np.float32)
        frames = samples.reshape(-1, self.columns)
        return frames * np.float32(SURROUND_GAIN) if self.info.channels > MAX_CHANNELS else frames


@dataclass(slots=True)
class _TrackClock:
    """Find holes in a track's timestamps: senders that leave out silence, or parts cut away.

    next_s: where the next frame should start.
    """

    next_s: float | None = None

    def hole_ms(self, frame: av.AudioFrame) -> int:
        """Give the silence before a frame; 0 where the timestamps start again elsewhere."""
        length_s = frame.samples / frame.sample_rate
        if frame.time is None or self.next_s is None:
            self.next_s = None if frame.time is None else frame.time + length_s
            return 0
        ahead_s = frame.time - self.next_s
        if abs(ahead_s) < MIN_HOLE_S:
            self.next_s += length_s
            return 0
        self.next_s = frame.time + length_s
        return round(ahead_s * 1000) if 0 < ahead_s * 1000 <= MAX_GAP_MS else 0


class SoundfileReader:
    """A file that libsndfile reads and FFmpeg does not; mono or stereo."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._file = soundfile.SoundFile(file)
        except soundfile.LibsndfileError as error:
            raise AudioError("not_audio", f"libsndfile: {error.error_string}") from error
        check_sample_rate(self._file.samplerate)
        if self._file.channels > MAX_CHANNELS:
            raise AudioError(
                "bad_channels", f"{self._file.channels} channels: mix the file down to stereo"
            )
        self.info = MediaInfo(
            container=self._file.format.lower(),
            codec=self._file.subtype.lower(),
            sample_rate_hz=self._file.samplerate,
            channels=self._file.channels,
            duration_ms=self._file.frames * 1000 // self._file.samplerate or None,
        )
        self.columns = self.info.channels

    def blocks(self, warnings: list[MediaWarning]) -> Iterator[Block]:
        """Decode a second at a time, up to where it can be decoded."""
        rate_hz = self.info.sample_rate_hz
        samples = 0
        try:
            while len(frames := self._file.read(rate_hz, dtype="float32", always_2d=True)):
                yield Block(clean_frames(frames, at_frame=samples, sample_rate_hz=rate_hz))
                samples += len(frames)
        except soundfile.LibsndfileError as error:
            message = f"nothing after {samples / rate_hz:.1f} s could be decoded"
            warnings.append(MediaWarning("damaged", f"{message}: {error.error_string}"))

    def close(self) -> None:
        """Close libsndfile's handle."""
        self._file.close()
