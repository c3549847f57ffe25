"""Files and containers that must play: every codec, a pipe, an hour."""

import io
import os
import threading
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import psutil
import pytest

from soundflow.audio import SAMPLE_RATE_HZ, AudioError
from soundflow.media import open_media
from tests.soundflow.media_files import (
    LEFT_HZ,
    RIGHT_HZ,
    SECONDS,
    encoded,
    heard,
    level_at,
    pcm16,
    play,
    stereo_tones,
    wav,
    wav_header,
)


@pytest.mark.parametrize(
    ("container", "codec", "sample_rate_hz"),
    [
        ("mp3", "libmp3lame", 44_100),
        ("ogg", "libopus", 48_000),
        ("webm", "libopus", 48_000),
        ("flac", "flac", 96_000),
        ("mp4", "aac", 44_100),
        ("adts", "aac", 22_050),
        ("matroska", "pcm_f32le", 48_000),
        ("aiff", "pcm_s16be", 8_000),
        ("wav", "pcm_u8", 11_025),
        ("avi", "mp2", 32_000),
    ],
)
def test_common_codecs_play(container: str, codec: str, sample_rate_hz: int) -> None:
    source = encoded(container, codec, stereo_tones(sample_rate_hz), sample_rate_hz)
    with open_media(io.BytesIO(source)) as media:
        left, right = heard(media, "left", "right")
        assert (media.info.sample_rate_hz, media.info.channels) == (sample_rate_hz, 2)
        assert media.info.duration_ms == pytest.approx(1_000 * SECONDS, abs=100)
        assert media.warnings == []
    assert len(left) == pytest.approx(SECONDS * SAMPLE_RATE_HZ, abs=SAMPLE_RATE_HZ // 10)
    assert level_at(left, LEFT_HZ) == pytest.approx(0.4, abs=0.03)
    assert level_at(right, RIGHT_HZ) == pytest.approx(0.4, abs=0.03)
    assert max(level_at(left, RIGHT_HZ), level_at(right, LEFT_HZ)) < 0.02


@pytest.mark.parametrize(
    ("container", "subtype"), [("OGG", "VORBIS"), ("HTK", "PCM_16"), ("MAT5", "FLOAT")]
)
def test_formats_of_libsndfile_play(container: str, subtype: str) -> None:
    mono = stereo_tones(SAMPLE_RATE_HZ)[:, 0]
    samples = play(wav(mono, format=container, subtype=subtype))
    assert len(samples) == pytest.approx(SECONDS * SAMPLE_RATE_HZ, abs=400)
    assert level_at(samples, LEFT_HZ) == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize(
    ("container", "subtype", "atol"),
    [
        ("WAV", "PCM_16", 1e-4),
        ("WAVEX", "PCM_24", 1e-6),
        ("WAV", "FLOAT", 1e-7),
        ("WAV", "ULAW", 0.02),
        ("WAV", "ALAW", 0.02),
        ("W64", "PCM_16", 1e-4),
        ("FLAC", "PCM_24", 1e-6),
    ],
)
def test_uncompressed_16_khz_comes_out_as_it_went_in(
    container: str, subtype: str, atol: float
) -> None:
    mono = stereo_tones(SAMPLE_RATE_HZ)[:, 0]
    samples = play(wav(mono, format=container, subtype=subtype))
    np.testing.assert_allclose(samples, mono, atol=atol)


def test_mulaw_wav_of_a_telephone_plays() -> None:
    samples = play(wav(stereo_tones(8_000)[:, 0], 8_000, subtype="ULAW"))
    assert abs(len(samples) - SECONDS * SAMPLE_RATE_HZ) <= 1
    assert level_at(samples, LEFT_HZ) == pytest.approx(0.4, abs=0.01)


def test_stereo_is_mixed_for_one_session() -> None:
    samples = play(wav(stereo_tones(SAMPLE_RATE_HZ)))
    assert level_at(samples, LEFT_HZ) == pytest.approx(0.2, abs=1e-3)
    assert level_at(samples, RIGHT_HZ) == pytest.approx(0.2, abs=1e-3)


def test_surround_is_mixed_without_clipping() -> None:
    full_scale = np.repeat(stereo_tones(48_000)[:, :1] * np.float32(0.999 / 0.4), 6, axis=1)
    samples = play(encoded("mov", "pcm_s16le", full_scale, 48_000, layout="5.1"))
    assert level_at(samples, LEFT_HZ) == pytest.approx(0.999, abs=0.01)


def test_surround_cannot_be_split() -> None:
    frames = np.zeros((48_000, 6), np.float32)
    source = encoded("mov", "pcm_s16le", frames, 48_000, layout="5.1")
    with open_media(io.BytesIO(source)) as media, pytest.raises(AudioError) as raised:
        heard(media, *"abcdef")
    assert raised.value.code == "bad_channels"


def test_a_path_is_opened_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(wav(stereo_tones(SAMPLE_RATE_HZ)[:, 0]))
    with open_media(path) as media:
        (samples,) = heard(media, "file")
    assert len(samples) == SECONDS * SAMPLE_RATE_HZ


@pytest.mark.parametrize("data_bytes", [0xFFFF_FFFF, 0x7FFF_F000, 0])
def test_wav_written_to_a_pipe_plays_to_its_end(data_bytes: int) -> None:
    mono = stereo_tones(SAMPLE_RATE_HZ)[:, 0]
    samples = play(wav_header(data_bytes=data_bytes) + pcm16(mono))
    np.testing.assert_allclose(samples, mono, atol=1e-4)


@pytest.mark.parametrize("container", ["wav", "flac", "mp3"])
def test_a_pipe_plays_while_it_is_written(container: str) -> None:
    codec = {"wav": "pcm_s16le", "mp3": "libmp3lame"}.get(container, container)
    source = encoded(container, codec, stereo_tones(48_000), 48_000)
    read_end, write_end = os.pipe()
    writer = threading.Thread(target=_write_and_close, args=(write_end, source))
    writer.start()
    with os.fdopen(read_end, "rb") as file, open_media(file) as media:
        (samples,) = heard(media, "file")
        assert (media.info.duration_ms, media.warnings) == (None, [])
    writer.join()
    assert len(samples) == pytest.approx(SECONDS * SAMPLE_RATE_HZ, abs=SAMPLE_RATE_HZ // 10)


def _write_and_close(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


class Tape(io.RawIOBase):
    """A WAV of any length which takes no memory, as a pipe would give it."""

    def __init__(self, seconds: int) -> None:
        self._header = wav_header(data_bytes=0xFFFF_FFFF)
        self._left_bytes = seconds * SAMPLE_RATE_HZ * 2
        self._noise = np.random.default_rng(0).bytes(1 << 16)

    def read(self, size: int = -1) -> bytes:
        """Give noise: silent chunks would share their memory."""
        if self._header:
            header, self._header = self._header, b""
            return header
        size = min(size, self._left_bytes)
        self._left_bytes -= size
        return self._noise[:size]

    def readable(self) -> bool:
        return True


def test_an_hour_needs_no_more_memory_than_a_minute() -> None:
    """An hour is 115 MB as it comes in and 230 MB as it goes out."""
    process = psutil.Process()
    samples = 0
    with open_media(cast(BinaryIO, Tape(3_600))) as media:
        chunks = media.chunks(["file"])
        samples += sum(chunk.samples for chunk in islice(chunks, 150))
        minute_bytes = process.memory_info().rss
        samples += sum(chunk.samples for chunk in chunks)
        hour_bytes = process.memory_info().rss
    assert samples == 3_600 * SAMPLE_RATE_HZ
    assert hour_bytes - minute_bytes < 20_000_000
