"""Bytes to frames to 16 kHz to chunks: the same samples however the input was cut."""

import io

import av
import numpy as np
import pytest
import soundfile

from soundflow.audio import (
    CHUNK_SAMPLES,
    SAMPLE_RATE_HZ,
    AudioError,
    AudioFormat,
    Chunk,
    Chunker,
    Encoding,
    FrameDecoder,
    Pcm,
    StreamResampler,
)

RATES_HZ = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000]
SEEDS = range(4)


def noise(samples: int, *, channels: int = 1, seed: int = 0) -> Pcm:
    shape = (samples, channels)
    return np.random.default_rng(seed).uniform(-0.9, 0.9, shape).astype(np.float32)


def tone(frequency_hz: float, *, sample_rate_hz: int, seconds: float = 2.0) -> Pcm:
    time_s = np.arange(round(seconds * sample_rate_hz)) / sample_rate_hz
    return (0.5 * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def cut(length: int, *, seed: int) -> list[slice]:
    """Random borders over `length`, some of them twice, so that empty pieces occur."""
    rng = np.random.default_rng(seed)
    borders = np.sort(np.append(rng.integers(0, length + 1, 40), [0, length, length]))
    return [slice(*pair) for pair in zip(borders[:-1], borders[1:], strict=True)]


def faults_in(samples: Pcm, *, frequency_hz: float) -> tuple[float, float]:
    """What is not the tone, in dB below it, and the tone's delay in ms."""
    phase = 2 * np.pi * frequency_hz * np.arange(len(samples)) / SAMPLE_RATE_HZ
    basis = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    weights, *_ = np.linalg.lstsq(basis, samples, rcond=None)
    residue = samples - basis @ weights
    level_db = 10 * np.log10(np.mean(residue**2) / np.mean(samples**2))
    delay_ms = -np.arctan2(weights[1], weights[0]) / (2 * np.pi * frequency_hz) * 1000
    return float(level_db), float(delay_ms)


class TestFormat:
    @pytest.mark.parametrize("sample_rate_hz", [-1, 0, 7_999, 96_001])
    def test_a_rate_outside_8_to_96_khz_is_refused(self, sample_rate_hz: int) -> None:
        with pytest.raises(AudioError, match=f"{sample_rate_hz} Hz") as raised:
            AudioFormat(Encoding.PCM_S16LE, sample_rate_hz=sample_rate_hz)
        assert raised.value.code == "bad_rate"

    @pytest.mark.parametrize("channels", [0, 3, 7])
    def test_more_than_stereo_is_refused(self, channels: int) -> None:
        with pytest.raises(AudioError, match=f"{channels} channels") as raised:
            AudioFormat(Encoding.PCM_S16LE, channels=channels)
        assert raised.value.code == "bad_channels"

    def test_a_frame_holds_a_sample_of_every_channel(self) -> None:
        assert AudioFormat(Encoding.PCM_F32LE, channels=2).frame_bytes == 8
        assert AudioFormat(Encoding.MULAW, channels=1).frame_bytes == 1


class TestFrameDecoder:
    def test_pcm16_spans_minus_one_to_one(self) -> None:
        data = np.array([-32768, 0, 16384, 32767], "<i2").tobytes()
        frames = FrameDecoder(AudioFormat(Encoding.PCM_S16LE)).push(data)
        np.testing.assert_array_equal(frames[:, 0], [-1, 0, 0.5, np.float32(32767 / 32768)])

    def test_channels_are_interleaved(self) -> None:
        data = np.array([1, -1, 0.5, -0.5], "<f4").tobytes()
        frames = FrameDecoder(AudioFormat(Encoding.PCM_F32LE, channels=2)).push(data)
        np.testing.assert_array_equal(frames, [[1, -1], [0.5, -0.5]])

    @pytest.mark.parametrize(
        ("encoding", "silence", "loudest", "peak"),
        # ITU-T G.711, tables 1 and 2: the code of the smallest and of the largest positive value,
        # 8031 of 8192 in µ-law and 4032 of 4096 in A-law.
        [
            (Encoding.MULAW, 0xFF, 0x80, 8031 / 8192),
            (Encoding.ALAW, 0xD5, 0xAA, 4032 / 4096),
        ],
    )
    def test_g711_follows_the_standard(
        self, encoding: Encoding, silence: int, loudest: int, peak: float
    ) -> None:
        decoder = FrameDecoder(AudioFormat(encoding, 8_000))
        quiet, loud, negative = decoder.push(bytes([silence, loudest, loudest ^ 0x80]))[:, 0]
        assert abs(quiet) <= 1 / 4096
        assert (loud, negative) == pytest.approx((peak, -peak), abs=1e-6)

    @pytest.mark.parametrize("encoding", [Encoding.MULAW, Encoding.ALAW])
    def test_g711_agrees_with_ffmpeg(self, encoding: Encoding) -> None:
        codec = av.CodecContext.create(f"pcm_{encoding}", "r")
        assert isinstance(codec, av.AudioCodecContext)
        codec.sample_rate, codec.layout = 8_000, "mono"
        (frame,) = codec.decode(av.Packet(bytes(range(256))))
        ours = FrameDecoder(AudioFormat(encoding, 8_000)).push(bytes(range(256)))
        np.testing.assert_array_equal(ours[:, 0] * 32768, frame.to_ndarray()[0])

    @pytest.mark.parametrize("encoding", Encoding)
    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize("seed", SEEDS)
    def test_bytes_may_be_cut_anywhere(self, encoding: Encoding, channels: int, seed: int) -> None:
        whole = noise(2_000, channels=channels, seed=seed)
        subtype = {"pcm_s16le": "PCM_16", "pcm_f32le": "FLOAT", "mulaw": "ULAW", "alaw": "ALAW"}
        encoded = io.BytesIO()
        soundfile.write(encoded, whole, 8_000, format="RAW", subtype=subtype[encoding])
        data = encoded.getvalue()
        audio_format = AudioFormat(encoding, 8_000, channels)

        at_once = FrameDecoder(audio_format).push(data)
        decoder = FrameDecoder(audio_format)
        pieces = [decoder.push(data[piece]) for piece in cut(len(data), seed=seed)]
        decoder.finish()

        np.testing.assert_array_equal(np.concatenate(pieces), at_once)
        np.testing.assert_allclose(at_once, whole, atol=0.04)

    def test_half_a_frame_at_the_end_is_an_error_once(self) -> None:
        decoder = FrameDecoder(AudioFormat(Encoding.PCM_S16LE, channels=2))
        assert len(decoder.push(bytes(4 * 10 + 3))) == 10
        with pytest.raises(AudioError, match="3 bytes into frame 10 of 4 bytes") as raised:
            decoder.finish()
        assert raised.value.code == "odd_length"
        decoder.finish()

    @pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
    def test_a_sample_that_is_no_number_is_named(self, wrong: float) -> None:
        samples = np.zeros((8_000, 2), "<f4")
        samples[4_000, 1] = wrong
        decoder = FrameDecoder(AudioFormat(Encoding.PCM_F32LE, 8_000, channels=2))
        decoder.push(np.zeros((8_000, 2), "<f4").tobytes())
        with pytest.raises(AudioError, match=r"sample 12000 of channel 1 \(1500 ms\)") as raised:
            decoder.push(samples.tobytes())
        assert raised.value.code == "bad_samples"
        assert (decoder.frames, decoder.rest) == (8_000, b"")

    def test_what_follows_a_dropped_message_is_read_from_its_own_first_byte(self) -> None:
        data = np.array([0.1, 0.2, np.nan, 0.4, 0.5, 0.6, 0.7], "<f4").tobytes()
        decoder = FrameDecoder(AudioFormat(Encoding.PCM_F32LE))
        decoder.push(data[:6])
        with pytest.raises(AudioError, match="sample 2 "):
            decoder.push(data[6:17])
        followed = decoder.push(data[17:])[:, 0]
        np.testing.assert_array_equal(followed, np.array([0.5, 0.6, 0.7], np.float32))
        decoder.finish()

    def test_values_beyond_full_scale_are_clipped(self) -> None:
        data = np.array([2, -3, 0.25], "<f4").tobytes()
        frames = FrameDecoder(AudioFormat(Encoding.PCM_F32LE)).push(data)
        np.testing.assert_array_equal(frames[:, 0], [1, -1, 0.25])


class TestStreamResampler:
    @pytest.mark.parametrize("sample_rate_hz", [*RATES_HZ, 8_001, 15_999, 37_811])
    @pytest.mark.parametrize("seed", SEEDS)
    def test_streamed_equals_whole(self, sample_rate_hz: int, seed: int) -> None:
        frames = noise(sample_rate_hz * 3 // 2 + seed, channels=2, seed=seed)

        one_push = StreamResampler(sample_rate_hz, channels=2)
        whole = np.concatenate([one_push.push(frames), one_push.finish()])
        many = StreamResampler(sample_rate_hz, channels=2)
        pieces = [many.push(frames[piece]) for piece in cut(len(frames), seed=seed)]

        np.testing.assert_array_equal(np.concatenate([*pieces, many.finish()]), whole)
        assert abs(len(whole) - len(frames) * SAMPLE_RATE_HZ / sample_rate_hz) <= 1

    @pytest.mark.parametrize("sample_rate_hz", RATES_HZ)
    @pytest.mark.parametrize("frequency_hz", [200, 1_000, 3_300])
    def test_a_tone_stays_that_tone(self, sample_rate_hz: int, frequency_hz: int) -> None:
        resampler = StreamResampler(sample_rate_hz, channels=1)
        frames = tone(frequency_hz, sample_rate_hz=sample_rate_hz)[:, None]
        packet = sample_rate_hz // 50
        pieces = [resampler.push(frames[i : i + packet]) for i in range(0, len(frames), packet)]
        samples = np.concatenate([*pieces, resampler.finish()])[:, 0]

        # Without the first and last 50 ms: a tone that starts and stops is not one frequency.
        # 50 ms are a whole number of periods, so the tone starts there at phase 0 again.
        residue_db, delay_ms = faults_in(samples[800:-800], frequency_hz=frequency_hz)
        assert residue_db < -75
        assert abs(delay_ms) < 0.15

    @pytest.mark.parametrize("sample_rate_hz", [22_050, 44_100, 48_000, 96_000])
    def test_what_16_khz_cannot_carry_is_removed(self, sample_rate_hz: int) -> None:
        resampler = StreamResampler(sample_rate_hz, channels=1)
        samples = resampler.push(tone(9_000, sample_rate_hz=sample_rate_hz)[:, None])
        assert np.abs(samples[800:]).max() < 1e-4

    def test_16_khz_passes_unchanged(self) -> None:
        frames = noise(1_000)
        resampler = StreamResampler(SAMPLE_RATE_HZ, channels=1)
        np.testing.assert_array_equal(resampler.push(frames), frames)
        assert resampler.finish().shape == (0, 1)

    def test_overshoot_stays_within_full_scale(self) -> None:
        square = np.sign(tone(440, sample_rate_hz=48_000))[:, None]
        assert np.abs(StreamResampler(48_000, channels=1).push(square)).max() == 1

    @pytest.mark.parametrize("sample_rate_hz", RATES_HZ)
    def test_samples_are_held_back_for_less_than_a_tenth_of_a_second(
        self, sample_rate_hz: int
    ) -> None:
        resampler = StreamResampler(sample_rate_hz, channels=1)
        packet = noise(sample_rate_hz // 50)
        given = 0
        for number in range(1, 101):
            given += len(resampler.push(packet))
            assert number * SAMPLE_RATE_HZ // 50 - given < SAMPLE_RATE_HZ // 10


class TestChunker:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_streamed_equals_whole(self, seed: int) -> None:
        samples = noise(CHUNK_SAMPLES * 5 + 123 * seed, seed=seed)[:, 0]
        chunker = Chunker("call-1")
        chunks = [
            chunk
            for piece in cut(len(samples), seed=seed)
            for chunk in chunker.push(samples[piece])
        ]
        chunks.append(chunker.finish())

        heard = np.concatenate([chunk.pcm[: chunk.samples] for chunk in chunks])
        np.testing.assert_array_equal(heard, samples)
        assert [chunk.index for chunk in chunks] == list(range(6))
        assert [chunk.last for chunk in chunks] == [False] * 5 + [True]
        assert {chunk.session_id for chunk in chunks} == {"call-1"}

    def test_a_chunk_leaves_with_its_last_sample(self) -> None:
        chunker = Chunker("call-1")
        assert chunker.push(noise(CHUNK_SAMPLES - 1)[:, 0]) == []
        (chunk,) = chunker.push(noise(1)[:, 0])
        assert (chunk.samples, chunk.last) == (CHUNK_SAMPLES, False)

    def test_the_last_chunk_is_padded_with_zeros(self) -> None:
        chunker = Chunker("call-1")
        chunker.push(np.ones(100, np.float32))
        last = chunker.finish()
        assert (last.index, last.samples, last.last) == (0, 100, True)
        assert last.pcm[:100].min() == 1 and not last.pcm[100:].any()

    def test_the_end_is_marked_even_without_a_sample(self) -> None:
        chunker = Chunker("call-1")
        chunker.push(noise(CHUNK_SAMPLES)[:, 0])
        last = chunker.finish()
        assert (last.index, last.samples, last.last) == (1, 0, True)

    def test_silent_chunks_share_their_memory(self) -> None:
        first, second = Chunker("call-1").push(np.zeros(2 * CHUNK_SAMPLES, np.float32))
        assert first.pcm is second.pcm and not first.pcm.flags.writeable


def test_a_chunk_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"6400 samples.*100"):
        Chunk("call-1", 0, np.zeros(100, np.float32))


def test_a_chunk_knows_its_place() -> None:
    chunk = Chunk("call-1", 3, np.zeros(CHUNK_SAMPLES, np.float32))
    assert (chunk.start_ms, chunk.end_ms) == (1_200, 1_600)
