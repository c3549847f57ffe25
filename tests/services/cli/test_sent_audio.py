"""What is sent again after the connection broke."""

import pytest

from services.cli.sent_audio import SentAudio
from soundflow.audio import AudioFormat

MONO = AudioFormat()  # 32 bytes a millisecond
STEREO_8K = AudioFormat(sample_rate_hz=8_000, channels=2)  # as many


def sent(*pieces: bytes, kept_ms: int = 30_000, audio_format: AudioFormat = MONO) -> SentAudio:
    audio = SentAudio(audio_format, kept_ms)
    for piece in pieces:
        audio.append(piece)
    return audio


def test_what_follows_a_place_comes_in_order_and_in_pieces() -> None:
    audio = sent(b"abcd", b"ef", b"ghij")
    assert audio.since(0, 100) == (10, b"abcdefghij")
    assert audio.since(3, 4) == (7, b"defg")
    assert audio.since(7, 4) == (10, b"hij")
    assert audio.since(10, 4) == (10, b"")


def test_no_more_is_kept_than_was_asked_for_and_what_is_gone_is_left_out() -> None:
    audio = sent(*[bytes([second]) * 32_000 for second in range(60)], kept_ms=30_000)
    assert sum(map(len, audio._pieces)) == 30 * 32_000
    end, piece = audio.since(5, 32_000)
    assert (end, piece) == (31 * 32_000, bytes([30]) * 32_000)


@pytest.mark.parametrize("audio_format", [MONO, STEREO_8K])
def test_a_time_in_the_session_is_a_whole_frame(audio_format: AudioFormat) -> None:
    audio = sent(bytes(64_000), audio_format=audio_format)
    assert audio.place(0) == 0
    assert audio.place(400) == 12_800
    assert audio.place(2000) == 64_000


def test_silence_that_the_platform_put_in_is_no_audio() -> None:
    audio = sent(bytes(64_000))
    audio.note_gap(500, 1500)
    assert audio.place(400) == 12_800
    assert audio.place(500) == 16_000
    assert audio.place(1200) == 16_000  # in the gap: what comes after it
    assert audio.place(1500) == 16_000
    assert audio.place(2000) == 32_000


def test_a_place_after_the_end_is_a_gap_that_nobody_told_of() -> None:
    audio = sent(bytes(32_000))
    assert audio.place(1800) == 32_000  # 0.8 s of silence were put in
    audio.append(bytes(32_000))
    assert audio.place(2000) == 32_000 + 200 * 32
