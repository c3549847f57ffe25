"""Files and containers: what must play, what must be refused, and what must be told."""

import io
import os
import struct
import threading
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, cast

import av
import numpy as np
import psutil
import pytest
import soundfile

from soundflow.audio import SAMPLE_RATE_HZ, AudioError, Chunk, Pcm
from soundflow.intake import Gap
from soundflow.media import Media, open_media

SECONDS = 2
LEFT_HZ, RIGHT_HZ = 440, 1_000


def stereo_tones(sample_rate_hz: int) -> Pcm:
    """A tone of its own in each channel, `(n, 2)`."""
    time_s = np.arange(SECONDS * sample_rate_hz) / sample_rate_hz
    tones = [0.4 * np.sin(2 * np.pi * hz * time_s) for hz in (LEFT_HZ, RIGHT_HZ)]
    return np.stack(tones, axis=1).astype(np.float32)


def wav(frames: Pcm, sample_rate_hz: int = SAMPLE_RATE_HZ, **options: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, frames, sample_rate_hz, **{"format": "WAV", **options})
    return file.getvalue()


def wav_header(
    *, sample_rate_hz: int = SAMPLE_RATE_HZ, channels: int = 1, data_bytes: int = 64_000
) -> bytes:
    """A 16-bit PCM header that says whatever a test wants."""
    fmt = struct.pack(
        "<HHIIHH",
        1,
        channels,
        sample_rate_hz,
        sample_rate_hz * channels * 2,
        channels * 2,
        16,
    )
    riff_bytes = min(data_bytes + 36, 0xFFFF_FFFF)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", riff_bytes, b"WAVE", b"fmt ", len(fmt))
        + fmt
        + struct.pack("<4sI", b"data", data_bytes)
    )


def pcm16(frames: Pcm) -> bytes:
    return (frames * 32767).astype("<i2").tobytes()


def encoded(
    container: str,
    codec: str,
    frames: Pcm,
    sample_rate_hz: int,
    *,
    layout: str = "stereo",
    hole_s: float = 0,
    options: dict[str, str] | None = None,
) -> bytes:
    """Encode with FFmpeg; a hole in the timestamps after the first second, if asked."""
    with NamedTemporaryFile() as file:
        with av.open(file.name, "w", format=container, options=options or {}) as output:
            stream = output.add_stream(codec, rate=sample_rate_hz, layout=layout)
            assert isinstance(stream, av.AudioStream)
            converter = av.AudioResampler(stream.format, layout, sample_rate_hz, frame_size=960)
            for start in range(0, len(frames), sample_rate_hz):
                second = np.ascontiguousarray(frames[start : start + sample_rate_hz].T)
                frame = av.AudioFrame.from_ndarray(second, format="fltp", layout=layout)
                frame.sample_rate = sample_rate_hz
                frame.pts = start + (round(hole_s * sample_rate_hz) if start else 0)
                for part in converter.resample(frame):
                    output.mux(stream.encode(part))
            output.mux(stream.encode(None))
        return file.read()


def heard(media: Media, *session_ids: str) -> list[Pcm]:
    """The samples of each session, after checks of what every stream of chunks must hold."""
    chunks = list(media.chunks(session_ids))
    return [_joined([chunk for chunk in chunks if chunk.session_id == id_]) for id_ in session_ids]


def _joined(chunks: list[Chunk]) -> Pcm:
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert [chunk.last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    return np.concatenate([chunk.pcm[: chunk.samples] for chunk in chunks])


def play(source: bytes) -> Pcm:
    with open_media(io.BytesIO(source)) as media:
        (samples,) = heard(media, "file")
        assert media.warnings == []
        return samples


def level_at(samples: Pcm, frequency_hz: int) -> float:
    """Amplitude of one frequency over the middle second."""
    middle = samples[SAMPLE_RATE_HZ // 2 :][:SAMPLE_RATE_HZ]
    phase = 2j * np.pi * frequency_hz * np.arange(len(middle)) / SAMPLE_RATE_HZ
    return float(2 * abs(np.mean(middle * np.exp(-phase))))


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


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("source", "code", "says"),
        [
            (b"", "empty_audio", "0 bytes"),
            (wav_header(data_bytes=0), "empty_audio", "no sample"),
            (wav_header(data_bytes=64_000), "empty_audio", "ends at byte 44, 64000 before"),
            (wav_header()[:20], "not_audio", "complete"),
            (b"Dear customer,\n" * 100, "not_audio", "complete"),
            (bytes(5_000), "not_audio", "complete"),
            (wav_header(sample_rate_hz=0) + bytes(64_000), "bad_rate", "0 Hz"),
            (wav_header(sample_rate_hz=4_000) + bytes(64_000), "bad_rate", "4000 Hz"),
            (wav_header(sample_rate_hz=192_000) + bytes(64_000), "bad_rate", "192000 Hz"),
            (wav_header(channels=7) + bytes(64_000), "bad_channels", "7 channels"),
            (wav_header(channels=0) + bytes(64_000), "not_audio", "Channel count is zero"),
        ],
    )
    def test_by_name(self, source: bytes, code: str, says: str) -> None:
        with pytest.raises(AudioError, match=says) as raised:
            play(source)
        assert raised.value.code == code

    @pytest.mark.parametrize("suffix", ["wav", "mp3", "m4a", "txt", "ogg"])
    def test_a_text_file_whatever_its_name(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"notes.{suffix}"
        path.write_text("Dear customer, this is no recording.\n" * 500)
        with pytest.raises(AudioError) as raised, open_media(path) as media:
            heard(media, "file")
        assert raised.value.code == "not_audio"

    @pytest.mark.parametrize("channels", [1, 2])
    def test_a_float_file_with_nan(self, channels: int) -> None:
        frames = np.zeros((SAMPLE_RATE_HZ, channels), np.float32)
        frames[12_000, -1] = np.nan
        with pytest.raises(AudioError, match=rf"channel {channels - 1} \(750 ms\)") as raised:
            play(wav(frames, subtype="FLOAT"))
        assert raised.value.code == "bad_samples"

    def test_a_film_without_sound(self) -> None:
        file = io.BytesIO()
        with av.open(file, "w", format="mp4") as output:
            stream = output.add_stream("mpeg4", rate=10)
            assert isinstance(stream, av.VideoStream)
            stream.width = stream.height = 32
            output.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
            output.mux(stream.encode(None))
        with pytest.raises(AudioError, match="no audio track.*video") as raised:
            play(file.getvalue())
        assert raised.value.code == "not_audio"

    def test_an_audio_track_without_length(self) -> None:
        nothing = np.zeros((0, 2), np.float32)
        with pytest.raises(AudioError) as raised:
            play(encoded("matroska", "pcm_s16le", nothing, 48_000))
        assert raised.value.code == "empty_audio"

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError), open_media(tmp_path / "none.wav"):
            pass

    @pytest.mark.parametrize(
        "playlist",
        [
            "ffconcat version 1.0\nfile 'secret.wav'\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\nsecret.wav\n#EXT-X-ENDLIST\n",
        ],
    )
    def test_a_playlist_opens_no_other_file(self, tmp_path: Path, playlist: str) -> None:
        (tmp_path / "secret.wav").write_bytes(wav(stereo_tones(SAMPLE_RATE_HZ)))
        path = tmp_path / "list.m3u8"
        path.write_text(playlist)
        with pytest.raises(AudioError) as raised, open_media(path) as media:
            heard(media, "file")
        assert raised.value.code == "not_audio"


class TestWhatIsTold:
    def test_a_truncated_wav_plays_as_far_as_it_goes(self) -> None:
        mono = stereo_tones(SAMPLE_RATE_HZ)[:, 0]
        with open_media(io.BytesIO(wav(mono)[:30_044])) as media:
            (samples,) = heard(media, "file")
        np.testing.assert_allclose(samples, mono[:15_000], atol=1e-4)
        (warning,) = media.warnings
        assert warning.code == "truncated"
        assert "ends at byte 30044, 34000 before" in warning.message

    @pytest.mark.parametrize(
        ("container", "codec", "options"),
        [
            ("flac", "flac", {}),
            ("mp4", "aac", {"movflags": "faststart"}),
            ("webm", "libopus", {}),
        ],
    )
    def test_a_truncated_file_plays_as_far_as_it_goes(
        self, container: str, codec: str, options: dict[str, str]
    ) -> None:
        source = encoded(container, codec, stereo_tones(48_000), 48_000, options=options)
        with open_media(io.BytesIO(source[: len(source) // 2])) as media:
            (samples,) = heard(media, "file")
        assert 0.3 < len(samples) / SAMPLE_RATE_HZ < 1.7
        assert "truncated" in {warning.code for warning in media.warnings}
        assert level_at(samples[: SAMPLE_RATE_HZ // 4 * 3], LEFT_HZ) > 0.1

    def test_damaged_packets_are_left_out(self) -> None:
        source = bytearray(encoded("adts", "aac", stereo_tones(48_000), 48_000))
        middle = len(source) // 2
        source[middle : middle + 2_000] = bytes(2_000)
        with open_media(io.BytesIO(bytes(source))) as media:
            (samples,) = heard(media, "file")
        assert [warning.code for warning in media.warnings] == ["damaged"]
        assert SAMPLE_RATE_HZ < len(samples) < 2 * SAMPLE_RATE_HZ

    def test_damage_leaves_what_follows_in_its_place(self) -> None:
        source = bytearray(encoded("mp4", "aac", stereo_tones(48_000), 48_000))
        middle = len(source) // 2
        source[middle : middle + 4_000] = bytes(4_000)
        with open_media(io.BytesIO(bytes(source))) as media:
            results = list(media.read(["file"]))
        assert len([result.gap for result in results if result.gap]) == 1
        samples = _joined([chunk for result in results for chunk in result.chunks])
        assert len(samples) == pytest.approx(SECONDS * SAMPLE_RATE_HZ, abs=SAMPLE_RATE_HZ // 10)

    def test_a_hole_in_the_timestamps_is_silence(self) -> None:
        source = encoded("webm", "libopus", stereo_tones(48_000), 48_000, hole_s=3)
        with open_media(io.BytesIO(source)) as media:
            results = list(media.read(["file"]))
        (gap,) = [result.gap for result in results if result.gap]
        assert (gap.start_ms, gap.end_ms) == pytest.approx((1_000, 4_000), abs=50)
        samples = _joined([chunk for result in results for chunk in result.chunks])
        assert np.abs(samples[20_000:60_000]).max() == 0
        assert level_at(samples[64_000:], LEFT_HZ) == pytest.approx(0.2, abs=0.03)
        assert isinstance(gap, Gap)


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
