"""Files that are wrong: what must be refused by name, and what plays with a warning."""

import io
import struct
from pathlib import Path

import av
import numpy as np
import pytest

from soundflow.audio import SAMPLE_RATE_HZ, AudioError
from soundflow.intake import Gap
from soundflow.media import open_media
from tests.soundflow.media_files import (
    LEFT_HZ,
    SECONDS,
    encoded,
    heard,
    joined,
    level_at,
    play,
    stereo_tones,
    wav,
    wav_header,
)

# A chunk that says it goes on for 64 KB, in a file of 44 bytes.
LARGER_THAN_ITS_FILE = struct.pack("<4sI4s4sI24x", b"RIFF", 36, b"WAVE", b"junk", 65_535)


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
            (wav_header(codec=0x7777) + bytes(64_000), "not_audio", "no audio track .*: audio"),
            (LARGER_THAN_ITS_FILE, "not_audio", "complete"),
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

    def test_a_track_that_begins_midway_is_left_out(self) -> None:
        other = {"mpegts_start_pid": "768", "mpegts_pmt_start_pid": "1024"}
        first, second = (
            encoded("mpegts", "aac", stereo_tones(48_000), 48_000, options=options)
            for options in ({}, other)
        )
        with open_media(io.BytesIO(first + second)) as media:
            (samples,) = heard(media, "file")
        assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(SECONDS, abs=0.1)
        # PyAV looks at memory that is not its own to see whether it wants the track.
        assert {warning.code for warning in media.warnings} <= {"damaged"}

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
        samples = joined([chunk for result in results for chunk in result.chunks])
        assert len(samples) == pytest.approx(SECONDS * SAMPLE_RATE_HZ, abs=SAMPLE_RATE_HZ // 10)

    def test_a_hole_in_the_timestamps_is_silence(self) -> None:
        source = encoded("webm", "libopus", stereo_tones(48_000), 48_000, hole_s=3)
        with open_media(io.BytesIO(source)) as media:
            results = list(media.read(["file"]))
        (gap,) = [result.gap for result in results if result.gap]
        assert (gap.start_ms, gap.end_ms) == pytest.approx((1_000, 4_000), abs=50)
        samples = joined([chunk for result in results for chunk in result.chunks])
        assert np.abs(samples[20_000:60_000]).max() == 0
        assert level_at(samples[64_000:], LEFT_HZ) == pytest.approx(0.2, abs=0.03)
        assert isinstance(gap, Gap)
