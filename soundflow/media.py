"""Files and containers as chunks: whatever PyAV or libsndfile decode, read as a stream.

PyAV reads far more and goes first; libsndfile adds a few formats, such as HTK and MATLAB. Memory
does not grow with the file's length.
"""

import wave
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from soundflow.audio import AudioError, Chunk, check_sample_rate
from soundflow.intake import FrameCutter, Gap, IntakeResult
from soundflow.media_readers import (
    MediaInfo,
    MediaWarning,
    PyavReader,
    Reader,
    SoundfileReader,
)

# What writers to a pipe leave in a header that counts in 32 bits, instead of a size.
UNKNOWN_SIZE_BYTES = 0x7FFF_F000


@dataclass(slots=True)
class Media:
    """An open file. warnings: grows while it is read."""

    reader: Reader
    warnings: list[MediaWarning] = field(default_factory=list)

    @property
    def info(self) -> MediaInfo:
        """Container, codec, rate, channels, duration."""
        return self.reader.info

    def read(self, session_ids: Sequence[str]) -> Iterator[IntakeResult]:
        """Read the file once, as a live sender of it would have led to; the last result ends it.

        session_ids: one for the mix of all channels, or one for each channel of a stereo file.
        AudioError: `bad_channels` for another number of sessions, `bad_samples`, and at the end
        `empty_audio` or `not_audio` when not one sample came.
        """
        rate_hz = self.info.sample_rate_hz
        cutter = FrameCutter(session_ids, sample_rate_hz=rate_hz, channels=self.reader.columns)
        position = 0  # in samples of the file, silence included
        for block in self.reader.blocks(self.warnings):
            silence = round(block.silence_ms * rate_hz / 1000)
            gap = _gap(position, silence, rate_hz) if silence else None
            yield IntakeResult(cutter.push_silence(silence) + cutter.push(block.frames), gap)
            position += silence + len(block.frames)
        if position == 0:
            raise self._nothing_heard()
        yield IntakeResult(cutter.finish())

    def chunks(self, session_ids: Sequence[str]) -> Iterator[Chunk]:
        """Read the file once, the chunks alone; as `read` otherwise."""
        for result in self.read(session_ids):
            yield from result.chunks

    def _nothing_heard(self) -> AudioError:
        reasons = "; ".join(warning.message for warning in self.warnings)
        if any(warning.code == "damaged" for warning in self.warnings):
            return AudioError("not_audio", f"no sample can be decoded ({reasons}): send it again")
        return AudioError(
            "empty_audio", f"it holds no sample ({reasons or 'a complete file'}): record it again"
        )


def _gap(start: int, length: int, sample_rate_hz: int) -> Gap:
    start_ms = round(start * 1000 / sample_rate_hz)
    return Gap(start_ms, round((start + length) * 1000 / sample_rate_hz))


@contextmanager
def open_media(source: Path | BinaryIO) -> Iterator[Media]:
    """Open a file by its path, or one that stands open at its start; a pipe too.

    AudioError: `empty_audio`, `not_audio`, `bad_rate`, `bad_channels`. OSError as `open` raises it.
    """
    with ExitStack() as stack:
        file = stack.enter_context(source.open("rb")) if isinstance(source, Path) else source
        if not file.seekable():
            yield Media(stack.enter_context(closing(PyavReader(file, is_pipe=True))))
            return
        size_bytes = file.seek(0, 2)
        file.seek(0)
        if size_bytes == 0:
            raise AudioError("empty_audio", "the file is empty (0 bytes): record or send it again")
        warnings = _cut_short(file, size_bytes)
        yield Media(stack.enter_context(closing(_open_reader(file))), warnings)


def _open_reader(file: BinaryIO) -> Reader:
    try:
        return PyavReader(file, is_pipe=False)
    except AudioError as error:
        if error.code != "not_audio":
            raise
        first_error = error
    file.seek(0)
    try:
        return SoundfileReader(file)
    except AudioError as error:
        if error.code != "not_audio":
            raise
        _check_wave_rate(file)
        raise AudioError(
            "not_audio",
            f"no audio that can be read ({first_error}; {error}): check that the file is complete "
            "and what its name says it is",
        ) from error


def _check_wave_rate(file: BinaryIO) -> None:
    """Say so when it is the rate that made both libraries refuse a WAV file; they do not."""
    file.seek(0)
    try:
        with wave.open(file) as header:
            check_sample_rate(header.getframerate())
    except (wave.Error, EOFError, RuntimeError):  # the last of a chunk that is larger than its file
        return


def _cut_short(file: BinaryIO, size_bytes: int) -> list[MediaWarning]:
    """Compare a RIFF header's size with the file's: both libraries hide that WAV is truncated."""
    header = file.read(8)
    file.seek(0)
    promised_bytes = int.from_bytes(header[4:], "little") + len(header)
    if not header.startswith(b"RIFF") or promised_bytes >= UNKNOWN_SIZE_BYTES:
        return []
    missing_bytes = promised_bytes - size_bytes
    if missing_bytes <= 1:  # the padding of an odd size, which some writers forget
        return []
    return [
        MediaWarning(
            "truncated",
            f"the file ends at byte {size_bytes}, {missing_bytes} before its header says",
        )
    ]
