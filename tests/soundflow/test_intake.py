"""A live stream's messages: placed in time, cut per session, the same however they were cut."""

import numpy as np
import pytest

from soundflow.audio import (
    CHUNK_SAMPLES,
    SAMPLE_RATE_HZ,
    AudioError,
    AudioFormat,
    Chunk,
    Encoding,
    Pcm,
)
from soundflow.intake import AudioIntake, FrameCutter, Gap, Overlap, Timeline

SEEDS = range(5)
FLOAT_MONO = AudioFormat(Encoding.PCM_F32LE)
PACKET = SAMPLE_RATE_HZ // 50  # 20 ms


def noise(samples: int, *, channels: int = 1, seed: int = 0) -> Pcm:
    """Never 0, so that filled silence cannot be mistaken for audio."""
    shape = (samples, channels)
    return np.random.default_rng(seed).uniform(0.1, 0.9, shape).astype(np.float32)


def heard(chunks: list[Chunk], session_id: str = "call-1") -> Pcm:
    own = [chunk for chunk in chunks if chunk.session_id == session_id]
    assert [chunk.index for chunk in own] == list(range(len(own)))
    assert [chunk.last for chunk in own] == [False] * (len(own) - 1) + [True]
    return np.concatenate([chunk.pcm[: chunk.samples] for chunk in own])


def seconds(count: float) -> Pcm:
    return noise(round(count * SAMPLE_RATE_HZ))


class TestTimeline:
    def test_the_first_timestamp_is_the_origin(self) -> None:
        placed = Timeline(SAMPLE_RATE_HZ).place(seconds(1), 1_764_000_000_000)
        assert (placed.silence_samples, placed.gap, placed.overlap) == (0, None, None)

    def test_audio_without_timestamps_follows_on(self) -> None:
        timeline = Timeline(SAMPLE_RATE_HZ)
        timeline.place(seconds(1), 500)
        timeline.place(seconds(2), None)
        assert timeline.place(seconds(1), 3_500).gap is None
        assert timeline.placed_ms == 4_000

    @pytest.mark.parametrize("jitter_ms", [-19, -1, 7, 19])
    def test_jitter_moves_nothing(self, jitter_ms: int) -> None:
        timeline = Timeline(SAMPLE_RATE_HZ)
        timeline.place(seconds(1), 0)
        placed = timeline.place(seconds(1), 1_000 + jitter_ms)
        assert (placed.silence_samples, placed.gap, placed.overlap) == (0, None, None)
        assert len(placed.frames) == SAMPLE_RATE_HZ

    def test_jitter_does_not_add_up(self) -> None:
        timeline = Timeline(SAMPLE_RATE_HZ)
        for number in range(500):
            placed = timeline.place(noise(PACKET), number * 20 + (number * 7) % 20)
            assert (placed.gap, placed.overlap) == (None, None)

    def test_a_slow_drift_is_made_up_for_once_it_is_heard(self) -> None:
        timeline = Timeline(SAMPLE_RATE_HZ)
        gaps = [timeline.place(noise(PACKET), number * 21).gap for number in range(50)]
        lengths_ms = [gap.end_ms - gap.start_ms for gap in gaps if gap]
        assert lengths_ms == [20, 20]

    def test_a_gap_is_filled_and_reported(self) -> None:
        timeline = Timeline(SAMPLE_RATE_HZ)
        timeline.place(seconds(1), 7_000)
        placed = timeline.place(seconds(1), 8_500)
        assert placed.silence_samples == SAMPLE_RATE_HZ // 2
        assert placed.gap == Gap(1_000, 1_500)
        assert timeline.placed_ms == 2_500

    def test_late_audio_is_trimmed_and_reported(self) -> None:
        timeline = Timeline(SAMPLE_RATE_HZ)
        timeline.place(seconds(1), 7_000)
        again = seconds(1)
        placed = timeline.place(again, 7_750)
        np.testing.assert_array_equal(placed.frames, again[SAMPLE_RATE_HZ // 4 :])
        assert placed.overlap == Overlap(750, 1_000)
        assert timeline.place(seconds(1), 8_750).overlap is None

    def test_a_message_sent_twice_is_dropped_whole(self) -> None:
        timeline = Timeline(SAMPLE_RATE_HZ)
        timeline.place(seconds(1), 0)
        timeline.place(seconds(1), 1_000)
        placed = timeline.place(seconds(1), 0)
        assert (len(placed.frames), placed.overlap) == (0, Overlap(0, 1_000))
        assert timeline.place(seconds(1), 2_000).overlap is None

    @pytest.mark.parametrize("timestamp_ms", [1_000 + 3_600_001, 1_000 - 60_001, -(10**15)])
    def test_an_absurd_jump_is_an_error_and_changes_nothing(self, timestamp_ms: int) -> None:
        timeline = Timeline(SAMPLE_RATE_HZ)
        timeline.place(seconds(1), 0)
        with pytest.raises(AudioError, match=f"{timestamp_ms} ms where about 1000 ms") as raised:
            timeline.place(seconds(1), timestamp_ms)
        assert raised.value.code == "bad_timestamp"
        assert timeline.place(seconds(1), 1_000).gap is None

    def test_filled_silence_counts_toward_the_gap(self) -> None:
        timeline = Timeline(SAMPLE_RATE_HZ)
        timeline.place(seconds(1), 0)
        assert timeline.fill(400) == (6_400, Gap(1_000, 1_400))
        placed = timeline.place(seconds(1), 2_000)
        assert placed.gap == Gap(1_400, 2_000)
        assert timeline.placed_ms == 3_000

    @pytest.mark.parametrize("timestamp_ms", [1_000, 1_200, None])
    def test_filled_silence_never_makes_audio_late(self, timestamp_ms: int | None) -> None:
        timeline = Timeline(SAMPLE_RATE_HZ)
        timeline.place(seconds(1), 0)
        timeline.fill(5_000)
        placed = timeline.place(seconds(1), timestamp_ms)
        assert (len(placed.frames), placed.gap, placed.overlap) == (SAMPLE_RATE_HZ, None, None)
        assert timeline.placed_ms == 7_000

    def test_a_repetition_after_filled_silence_is_reported_where_it_was(self) -> None:
        timeline = Timeline(SAMPLE_RATE_HZ)
        timeline.place(seconds(1), 0)
        timeline.fill(5_000)
        assert timeline.place(seconds(1), 500).overlap == Overlap(500, 1_000)


class TestFrameCutter:
    def test_one_session_hears_the_mix(self) -> None:
        frames = noise(CHUNK_SAMPLES, channels=2)
        cutter = FrameCutter(["call-1"], sample_rate_hz=SAMPLE_RATE_HZ, channels=2)
        (chunk,) = cutter.push(frames)
        np.testing.assert_allclose(chunk.pcm, (frames[:, 0] + frames[:, 1]) / 2, rtol=1e-6)

    def test_a_session_for_each_channel_hears_only_that(self) -> None:
        frames = noise(2 * CHUNK_SAMPLES, channels=2)
        cutter = FrameCutter(["left", "right"], sample_rate_hz=SAMPLE_RATE_HZ, channels=2)
        chunks = cutter.push(frames)
        order = [(chunk.index, chunk.session_id) for chunk in chunks]
        assert order == [(0, "left"), (0, "right"), (1, "left"), (1, "right")]
        for number, chunk in enumerate(chunks):
            start = chunk.index * CHUNK_SAMPLES
            expected = frames[start : start + CHUNK_SAMPLES, number % 2]
            np.testing.assert_array_equal(chunk.pcm, expected)

    @pytest.mark.parametrize("sample_rate_hz", [8_000, 11_025, 16_000, 44_100, 48_000])
    @pytest.mark.parametrize("silence_s", [0.0, 0.3, 1.0, 3.7])
    def test_silence_is_what_zeros_would_have_been(
        self, sample_rate_hz: int, silence_s: float
    ) -> None:
        samples = round(silence_s * sample_rate_hz)
        before, after = noise(sample_rate_hz, seed=1), noise(sample_rate_hz, seed=2)
        zeros = np.zeros((samples, 1), np.float32)

        pushed = FrameCutter(["call-1"], sample_rate_hz=sample_rate_hz, channels=1)
        expected = pushed.push(np.concatenate([before, zeros, after])) + pushed.finish()
        cutter = FrameCutter(["call-1"], sample_rate_hz=sample_rate_hz, channels=1)
        chunks = cutter.push(before) + cutter.push_silence(samples)
        chunks += cutter.push(after) + cutter.finish()

        np.testing.assert_allclose(heard(chunks), heard(expected), atol=1e-6)

    @pytest.mark.parametrize(("sessions", "channels"), [(2, 1), (3, 2), (0, 1)])
    def test_sessions_must_match_channels(self, sessions: int, channels: int) -> None:
        with pytest.raises(AudioError, match=f"{sessions} sessions for {channels} ch") as raised:
            FrameCutter(["call"] * sessions, sample_rate_hz=SAMPLE_RATE_HZ, channels=channels)
        assert raised.value.code == "bad_channels"


class TestAudioIntake:
    @pytest.mark.parametrize("sample_rate_hz", [8_000, 11_025, 16_000, 44_100, 48_000])
    @pytest.mark.parametrize("encoding", Encoding)
    @pytest.mark.parametrize("session_ids", [["call-1"], ["call-1", "call-2"]])
    @pytest.mark.parametrize("seed", SEEDS)
    def test_streamed_equals_whole(
        self, sample_rate_hz: int, encoding: Encoding, session_ids: list[str], seed: int
    ) -> None:
        audio_format = AudioFormat(encoding, sample_rate_hz, channels=2)
        rng = np.random.default_rng(seed)
        frames = rng.uniform(-1, 1, (sample_rate_hz + seed, 2)).astype("<f4")
        # Any bytes are audio in the three integer encodings.
        data = frames.tobytes() if encoding is Encoding.PCM_F32LE else rng.bytes(len(frames) * 4)
        borders = [0, *np.sort(rng.integers(0, len(data), 60)), len(data)]

        whole = AudioIntake(session_ids, audio_format)
        at_once = [*whole.push(data).chunks, *whole.finish().chunks]
        intake = AudioIntake(session_ids, audio_format)
        streamed: list[Chunk] = []
        for start, end in zip(borders[:-1], borders[1:], strict=True):
            streamed += intake.push(data[start:end]).chunks
        streamed += intake.finish().chunks

        for session_id in session_ids:
            samples = heard(streamed, session_id)
            np.testing.assert_array_equal(samples, heard(at_once, session_id))
            sent = len(data) / audio_format.frame_bytes
            assert abs(len(samples) - sent * SAMPLE_RATE_HZ / sample_rate_hz) <= 1

    @pytest.mark.parametrize("seed", SEEDS)
    def test_what_arrives_lies_where_it_was_captured(self, seed: int) -> None:
        """Some packets are lost, some come twice; the session is the original, with holes."""
        rng = np.random.default_rng(seed)
        packets = noise(200 * PACKET, channels=2, seed=seed).reshape(200, PACKET, 2)
        lost = rng.random(200) < 0.3
        lost[[0, -1]] = False
        intake = AudioIntake(["call-1", "call-2"], AudioFormat(Encoding.PCM_F32LE, channels=2))
        chunks: list[Chunk] = []
        for number in np.flatnonzero(~lost):
            for _ in range(rng.integers(1, 3)):
                chunks += intake.push(packets[number].tobytes(), 90_000 + int(number) * 20).chunks
        chunks += intake.finish().chunks

        expected = np.where(lost[:, None, None], 0, packets).reshape(-1, 2)
        np.testing.assert_array_equal(heard(chunks, "call-1"), expected[:, 0])
        np.testing.assert_array_equal(heard(chunks, "call-2"), expected[:, 1])

    @pytest.mark.parametrize("sample_rate_hz", [8_000, 16_000, 44_100, 48_000])
    def test_no_click_at_any_border(self, sample_rate_hz: int) -> None:
        """A click is wide-band: a 300 Hz tone must leave nothing above 1 kHz."""
        time_s = np.arange(3 * sample_rate_hz) / sample_rate_hz
        tone = (0.8 * np.sin(2 * np.pi * 300 * time_s)).astype("<f4").tobytes()
        intake = AudioIntake(["call-1"], AudioFormat(Encoding.PCM_F32LE, sample_rate_hz))
        packet_bytes = 4 * sample_rate_hz // 50
        chunks: list[Chunk] = []
        for start in range(0, len(tone), packet_bytes):
            chunks += intake.push(
                tone[start : start + packet_bytes], start * 20 // packet_bytes
            ).chunks
        whole = heard([*chunks, *intake.finish().chunks])
        samples = whole[SAMPLE_RATE_HZ // 2 : -SAMPLE_RATE_HZ // 2]
        spectrum = np.abs(np.fft.rfft(samples * np.blackman(len(samples))))
        above = spectrum[len(samples) * 1_000 // SAMPLE_RATE_HZ :]
        assert 20 * np.log10(above.max() / spectrum.max()) < -90

    def test_an_hour_of_silence_is_an_hour_of_chunks_in_little_memory(self) -> None:
        intake = AudioIntake(["call-1"], AudioFormat(Encoding.MULAW, 8_000))
        intake.push(bytes(800), 0)
        result = intake.silence(3_600_000)
        assert result.gap == Gap(100, 3_600_100)
        assert len(result.chunks) in {8_999, 9_000}
        assert len({id(chunk.pcm) for chunk in result.chunks}) <= 3
        assert intake.placed_ms == 3_600_100

    def test_a_stream_without_audio_ends_with_an_empty_chunk(self) -> None:
        (last,) = AudioIntake(["call-1"], FLOAT_MONO).finish().chunks
        assert (last.index, last.samples, last.last) == (0, 0, True)

    def test_a_bad_message_is_dropped_and_the_stream_goes_on(self) -> None:
        intake = AudioIntake(["call-1"], FLOAT_MONO)
        good = seconds(0.1)
        intake.push(good.tobytes(), 0)
        with pytest.raises(AudioError, match="sample 1603 "):
            intake.push(np.array([0, 0, 0, np.nan], "<f4").tobytes(), 100)
        with pytest.raises(AudioError, match="due"):
            intake.push(good.tobytes(), 10**9)
        intake.push(good.tobytes(), 100)
        np.testing.assert_array_equal(
            heard([*intake.finish().chunks]), np.concatenate([good, good])[:, 0]
        )

    def test_half_a_sample_at_the_end_is_told_and_the_rest_kept(self) -> None:
        intake = AudioIntake(["call-1"], FLOAT_MONO)
        intake.push(seconds(0.1).tobytes() + b"\0")
        with pytest.raises(AudioError, match="1 bytes into frame 1600"):
            intake.finish()
        (last,) = intake.finish().chunks
        assert last.samples == 1_600
