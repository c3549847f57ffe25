import io
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import ArrayLike

from soundflow.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ, Chunk
from soundflow.cascade.encoder import CascadeEncoder, CascadeState
from soundflow.checkpoint import locate
from soundflow.features import Features
from soundflow.frontend import Array, Carry, yamnet_log_mel, yamnet_mel

pytestmark = pytest.mark.models

CHUNKS = 5


@pytest.fixture(scope="module")
def encoder() -> CascadeEncoder:
    return CascadeEncoder.pretrained()


def clip(seed: int) -> Array:
    """Bursts of noise and gliding tones, so that every chunk differs from its neighbours."""
    random = np.random.default_rng(seed)
    samples = CHUNKS * CHUNK_SAMPLES
    seconds = np.arange(samples) / SAMPLE_RATE_HZ
    glide = np.sin(2 * np.pi * random.uniform(200, 600) * seconds ** random.uniform(1.0, 1.5))
    bursts = np.repeat(random.uniform(0.0, 0.3, samples // 800), 800)
    return (bursts * (glide + random.normal(0.0, 0.3, samples))).astype(np.float32)


def chunks(pcm: Array, session_id: str = "call") -> Iterator[Chunk]:
    for index, piece in enumerate(np.split(pcm, len(pcm) // CHUNK_SAMPLES)):
        yield Chunk(session_id, index, piece)


def stream(encoder: CascadeEncoder, pcm: Array) -> list[Features]:
    state, made = encoder.initial(), []
    for chunk in chunks(pcm):
        [(features, state)] = encoder.encode([(chunk, state)])
        made.append(features)
    return made


def assert_same(one: Features, other: Features) -> None:
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        np.testing.assert_array_equal(tensor, other.tensors[name], err_msg=name)


def joined(made: list[Features], name: str) -> Array:
    return np.concatenate([features.tensors[name] for features in made]).astype(np.float32)


def test_each_chunk_has_the_documented_tensors(encoder: CascadeEncoder) -> None:
    made = stream(encoder, clip(seed=1))
    for index, features in enumerate(made):
        tensors = features.tensors
        assert features.index == index
        assert tensors["log_mel"].shape == (40, 80)
        assert tensors["sound_scores"].shape == (521,)
        assert tensors["speech"].shape in [(12,), (13,)]
        assert tensors["level_db"].shape == (1,)
        assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float32)}
    windows = sum(features.tensors["speech"].size for features in made)
    assert windows == CHUNKS * CHUNK_SAMPLES // 512


def test_the_last_chunk_is_marked(encoder: CascadeEncoder) -> None:
    chunk = Chunk("call", 0, np.zeros(CHUNK_SAMPLES, np.float32), samples=1, last=True)
    [(features, _)] = encoder.encode([(chunk, encoder.initial())])
    assert features.last


def test_features_do_not_depend_on_who_shares_the_batch(encoder: CascadeEncoder) -> None:
    clips = [clip(seed) for seed in range(3)]
    states = [encoder.initial() for _ in clips]
    together: list[list[Features]] = [[] for _ in clips]
    for step in zip(*map(chunks, clips), strict=True):
        results = encoder.encode(list(zip(step, states, strict=True)))
        states = [state for _, state in results]
        for made, (features, _) in zip(together, results, strict=True):
            made.append(features)
    for pcm, made in zip(clips, together, strict=True):
        for shared, alone in zip(made, stream(encoder, pcm), strict=True):
            assert_same(shared, alone)


def test_streamed_speech_equals_the_vad_over_the_whole_clip(encoder: CascadeEncoder) -> None:
    pcm = clip(seed=2)
    streamed = joined(stream(encoder, pcm), "speech")
    padded = np.concatenate([np.zeros(64, np.float32), pcm])
    windows = np.stack([padded[i * 512 : i * 512 + 576] for i in range(len(pcm) // 512)])
    zeros = np.zeros((1, 1, 128), np.float32)
    whole = encoder._silero.run(None, {"input": windows, "h": zeros, "c": zeros})[0]
    np.testing.assert_allclose(streamed, whole, atol=1e-5)


def test_sound_scores_are_of_the_last_ninety_six_frames(encoder: CascadeEncoder) -> None:
    pcm = clip(seed=3)
    frames, _ = yamnet_log_mel(pcm, Carry.empty(), yamnet_mel())
    audio = np.clip(np.round(frames[-96:] / 0.047937885 + 144), 0, 255).astype(np.uint8)
    (logits,) = encoder._yamnet.run(None, {"audio": audio.reshape(1, 1, 96, 64)})
    expected = 1 / (1 + np.exp(-0.7565417 * (logits[0].astype(float) - 190)))
    newest = joined(stream(encoder, pcm)[-1:], "sound_scores")
    np.testing.assert_allclose(newest, expected, atol=1e-6)


def test_a_state_that_moved_goes_on_with_the_same_numbers(encoder: CascadeEncoder) -> None:
    stayed = moved = encoder.initial()
    for chunk in chunks(clip(seed=4)):
        [(here, stayed)] = encoder.encode([(chunk, stayed)])
        [(there, moved)] = encoder.encode([(chunk, encoder.load(encoder.dump(moved)))])
        assert_same(here, there)


def test_a_state_stays_small(encoder: CascadeEncoder) -> None:
    [(_, state)] = encoder.encode([(next(chunks(clip(seed=5))), encoder.initial())])
    assert len(encoder.dump(state)) < 16_000


def other_archive(**changes: ArrayLike) -> bytes:
    file = io.BytesIO()
    np.savez(file, **changes)  # type: ignore[arg-type]  # the stub takes them for allow_pickle
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        other_archive(version=1),
        other_archive(version=np.array({"a": 1}, dtype=object)),
    ],
    ids=["empty", "garbage", "fields missing", "pickled object"],
)
def test_foreign_bytes_are_not_a_state(encoder: CascadeEncoder, data: bytes) -> None:
    with pytest.raises(ValueError, match="cascade"):
        encoder.load(data)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"patch": np.zeros((55, 64))},
        {"vad_tail": np.zeros(63)},
        {"vad_tail": np.zeros((64, 1))},
        {"vad_cell": np.zeros((1, 128))},
        {"whisper": np.zeros(7)},
    ],
    ids=str,
)
def test_a_state_of_other_shapes_or_version_is_refused(
    encoder: CascadeEncoder, change: dict[str, ArrayLike]
) -> None:
    saved = dict(np.load(io.BytesIO(encoder.dump(encoder.initial()))))
    with pytest.raises(ValueError, match="state|shape|is"):
        encoder.load(other_archive(**(saved | change)))


def test_a_truncated_state_is_refused(encoder: CascadeEncoder) -> None:
    with pytest.raises(ValueError, match="cascade"):
        encoder.load(encoder.dump(encoder.initial())[:-100])


def encode_once(encoder: CascadeEncoder, pcm: Array) -> tuple[Features, CascadeState]:
    [result] = encoder.encode([(Chunk("call", 0, pcm), encoder.initial())])
    return result


def test_level_is_in_decibels_below_full_scale(encoder: CascadeEncoder) -> None:
    seconds = np.arange(CHUNK_SAMPLES) / SAMPLE_RATE_HZ
    sine = np.sin(2 * np.pi * 1000 * seconds).astype(np.float32)
    for scale, expected_db in [(1.0, -3.01), (0.1, -23.01), (0.0, -100.0)]:
        features, _ = encode_once(encoder, (scale * sine).astype(np.float32))
        assert features.tensors["level_db"][0] == pytest.approx(expected_db, abs=0.01)


def test_silence_is_neither_speech_nor_an_alarm(encoder: CascadeEncoder) -> None:
    for features in stream(encoder, np.zeros(CHUNKS * CHUNK_SAMPLES, np.float32)):
        assert features.tensors["speech"].max() < 0.2
        assert features.tensors["sound_scores"].argmax() == 494  # "Silence"


def test_missing_weights_name_the_file(encoder: CascadeEncoder) -> None:
    with pytest.raises(Exception, match=r"yamnet"):
        CascadeEncoder(locate("silero-vad"), locate("silero-vad"))
