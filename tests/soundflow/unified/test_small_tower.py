import struct
from dataclasses import replace
from pathlib import Path

import ctranslate2
import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile
import soxr
import torch
from torch.nn import functional

from soundflow.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ, Chunk
from soundflow.checkpoint import locate
from soundflow.checkpoint.start import fill_frozen
from soundflow.frontend import Array
from soundflow.unified.encoder import UnifiedEncoder, features_live
from soundflow.unified.logmel import LogMel
from soundflow.unified.small_hearing import hear, listen, patches
from soundflow.unified.small_tower import SmallTower, SmallTowerConfig
from soundflow.unified.sound_groups import SOUND_GROUPS
from tests.soundflow.unified.small import TINY, small_tower

DATA = Path(__file__).parents[2] / "data"
SPEECH = "prompts/agent-pass.flac"
DOG = "sounds/bark.flac"
QUANTISING = ("QuantizeLinear", "DequantizeLinear")


@pytest.fixture(scope="module")
def pretrained() -> SmallTower:
    tower = SmallTower(SmallTowerConfig())
    fill_frozen(tower)
    tower.eval().requires_grad_(False)
    return tower


def recording(name: str) -> Array:
    """Return a recording in whole chunks."""
    pcm = soxr.resample(*soundfile.read(DATA / name, dtype="float32"), SAMPLE_RATE_HZ)
    padded: Array = np.pad(pcm, (0, -len(pcm) % CHUNK_SAMPLES))
    return padded


def noise(chunks: int, seed: int = 0) -> Array:
    random = np.random.default_rng(seed)
    return random.normal(0, 0.1, chunks * CHUNK_SAMPLES).astype(np.float32)


@pytest.mark.models
def test_the_whisper_encoder_is_whispers(pretrained: SmallTower) -> None:
    windows = LogMel(80, context_chunks=3).live(recording(SPEECH))[4:6]
    whisper = ctranslate2.models.Whisper(
        str(locate("whisper-tiny.en")), device="cpu", compute_type="float32", intra_threads=1
    )
    given = ctranslate2.StorageView.from_array(windows.contiguous().numpy())
    expected = torch.from_numpy(np.array(whisper.encode(given, to_cpu=True)))
    made = pretrained.listen(windows)
    # Of 80 positions those of the second newest chunk. The largest is about 9.
    torch.testing.assert_close(made, expected[:, 40:60], atol=0.02, rtol=0)
    assert functional.cosine_similarity(made, expected[:, 40:60], dim=-1).min() > 0.9999


@pytest.mark.models
def test_the_tagger_is_yamnet(pretrained: SmallTower) -> None:
    given = patches(np.concatenate([recording(SPEECH), recording(DOG)]))
    graph = float_graph()
    logits = [graph.run(None, {"audio": patch[None, None].numpy()})[0] for patch in given]
    expected = torch.from_numpy(np.concatenate(logits)).sigmoid()
    torch.testing.assert_close(pretrained.yamnet(given).sigmoid(), expected, atol=1e-4, rtol=0)
    likely = dict(zip(SOUND_GROUPS, pretrained.tag(given).T, strict=True))
    assert likely["speech"][2] > 0.5 > likely["a dog"][2]
    assert likely["a dog"].argmax() >= len(recording(SPEECH)) // CHUNK_SAMPLES
    assert likely["a dog"].max() > 0.5


def float_graph() -> onnxruntime.InferenceSession:
    """Return the published graph without its rounding to 8 bits."""
    model = onnx.load(locate("yamnet") / "yamnet.onnx")
    nodes = model.graph.node
    source = {n.output[0]: n.input[0] for n in nodes if n.op_type in QUANTISING}

    def behind(name: str) -> str:
        return behind(source[name]) if name in source else name

    kept = [node for node in nodes if node.op_type not in QUANTISING]
    for node in kept:
        node.input[:] = [behind(name) for name in node.input]
    [output], [audio] = model.graph.output, model.graph.input
    output.name = behind(output.name)
    output.type.tensor_type.elem_type = audio.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    del nodes[:]
    nodes.extend(kept)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_stream_cut_anywhere_is_heard_as_if_whole(seed: int) -> None:
    random = np.random.default_rng(seed)
    blocks, kernel = int(random.integers(1, 5)), int(random.integers(1, 12))
    tower = small_tower(seed, replace(TINY, adapter_blocks=blocks, kernel=kernel))
    pcm = noise(6, seed) * random.uniform(0.01, 3, 6 * CHUNK_SAMPLES).astype(np.float32)
    whole = features_live(tower, np.clip(pcm, -1, 1))
    moved = UnifiedEncoder(tower).dump(UnifiedEncoder(tower).initial())
    for index, chunk in enumerate(np.split(pcm, 6)):
        encoder = UnifiedEncoder(tower)  # another one takes over with each chunk
        [(made, state)] = encoder.encode([(Chunk("call", index, chunk), encoder.load(moved))])
        np.testing.assert_allclose(made.tensors["frames"], whole[index].numpy(), atol=1e-5)
        moved = encoder.dump(state)


def test_what_is_heard_lags_by_the_chunks_that_it_looks_ahead() -> None:
    tower, late = small_tower(), small_tower(0, replace(TINY, lookahead_chunks=2))
    quiet = noise(6)
    loud = quiet.copy()
    loud[3 * CHUNK_SAMPLES + 3000 : 3 * CHUNK_SAMPLES + 3200] = 0.0
    for ears, lookahead in ((tower, 1), (late, 2)):
        changed = (listen(ears, quiet)[0] - listen(ears, loud)[0]).abs().amax(1).view(6, 20)
        assert changed[:3].max() == 0
        # Chunk 3 brings it as what follows; it is at its own place that many chunks later.
        assert changed[3 + lookahead].argmax() == pytest.approx(3000 / 320, abs=2)


def test_before_a_session_lie_zeros() -> None:
    tower = small_tower()
    positions, groups = torch.randn(2, 60, 16), torch.rand(2, 3, len(SOUND_GROUPS))
    padded = torch.cat([torch.zeros(2, tower.adapter.before, 16), positions], dim=1)
    torch.testing.assert_close(tower.hear_all(positions, groups), tower.hear(padded, groups))
    later = tower.hear(padded[:, 20:], groups[:, 1:])
    torch.testing.assert_close(later, tower.hear(padded, groups)[:, 1:])


def test_a_chunks_vectors_are_pairs_of_positions_with_their_letters_and_its_groups() -> None:
    tower, pcm = small_tower(), noise(3)
    positions, groups = listen(tower, pcm)
    heard = hear(tower, pcm)
    assert heard.shape == (3, 10, tower.config.heard_width) == (3, 10, 24 + 10 + 29)
    before = torch.zeros(tower.adapter.before, 16)
    adapted = tower.adapter(torch.cat([before, positions])[None])[0]
    torch.testing.assert_close(heard[1, 3, :24], torch.cat([adapted[26], adapted[27]]))
    letters = tower.speller(adapted[26:28]).softmax(-1)
    torch.testing.assert_close(heard[1, 3, 24:34], letters.flatten())
    for vector in heard[2]:
        torch.testing.assert_close(vector[34:], groups[2])


def test_foreign_bytes_are_not_a_state() -> None:
    encoder = UnifiedEncoder(small_tower())
    mine = encoder.dump(encoder.initial())
    other = UnifiedEncoder(small_tower(config=replace(TINY, kernel=3)))
    spoilt = mine[:100] + struct.pack("<f", np.nan) + mine[104:]
    for data in (b"", b"smallear", mine[:-4], mine + bytes(4), spoilt, mine[8:]):
        with pytest.raises(ValueError, match="state"):
            encoder.load(data)
    with pytest.raises(ValueError, match="state"):
        encoder.load(other.dump(other.initial()))


def test_every_weight_behind_the_frozen_part_learns() -> None:
    tower = SmallTower(TINY)
    positions, groups = torch.randn(1, 40, 16), torch.rand(1, 2, len(SOUND_GROUPS))
    tower.project(tower.hear_all(positions, groups)).square().sum().backward()  # type: ignore[no-untyped-call]
    silent = {name for name, weight in tower.named_parameters() if weight.grad is None}
    assert {name.split(".")[0] for name in silent} == {"whisper", "yamnet"}


def test_a_window_cannot_be_late_by_more_than_it_holds() -> None:
    with pytest.raises(ValueError, match="lookahead_chunks"):
        SmallTowerConfig(lookahead_chunks=4)


def test_no_group_names_a_class_twice() -> None:
    for classes in SOUND_GROUPS.values():
        assert len(set(classes)) == len(classes)
