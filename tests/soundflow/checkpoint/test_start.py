"""A folder to train the small model from: what is pretrained in it, and what is not."""

from pathlib import Path

import pytest
import torch

from soundflow.checkpoint import locate
from soundflow.checkpoint.ctranslate2_whisper import read_encoder
from soundflow.checkpoint.errors import CacheUnwritable, ModelDamaged
from soundflow.checkpoint.folder import open_checkpoint
from soundflow.checkpoint.onnx_yamnet import read_yamnet
from soundflow.checkpoint.start import fill_frozen, write_start
from soundflow.unified.small_tower import SmallTower, SmallTowerConfig
from tests.soundflow.unified.byte_bpe import byte_bpe
from tests.soundflow.unified.small import CONTROL, DECODER


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    file = tmp_path / "letters.json"
    byte_bpe().save(str(file))
    return file


@pytest.mark.models
def test_the_ears_are_pretrained_and_the_rest_is_chance(tmp_path: Path, tokenizer: Path) -> None:
    towers, models = [], []
    for seed in (1, 2):
        folder = write_start(tmp_path / str(seed), tokenizer, CONTROL, DECODER, seed=seed)
        checkpoint = open_checkpoint(folder)
        checkpoint.verify()
        towers.append(checkpoint.make_encoder().state_dict())
        models.append(checkpoint.make_decoder().state_dict())
    one, other = towers
    assert not torch.equal(models[0]["embedding.weight"], models[1]["embedding.weight"])
    shared = {name.split(".")[0] for name in one if torch.equal(one[name], other[name])}
    assert {"whisper", "yamnet"} <= shared
    assert not torch.equal(one["adapter.enter.weight"], other["adapter.enter.weight"])
    stored = read_encoder(locate("whisper-tiny.en"))["layers.3.fc1.weight"]
    assert torch.equal(one["whisper.layers.3.fc1.weight"], torch.from_numpy(stored))
    classes = read_yamnet(locate("yamnet"))["classifier.bias"]
    assert torch.equal(one["yamnet.classifier.bias"], torch.from_numpy(classes.copy()))


@pytest.mark.models
def test_a_tower_of_another_shape_cannot_take_them() -> None:
    with pytest.raises(ModelDamaged, match=r"whisper-tiny.en is of another shape"):
        fill_frozen(SmallTower(SmallTowerConfig(width=192)))


def test_what_is_there_is_not_written_over(tmp_path: Path, tokenizer: Path) -> None:
    with pytest.raises(CacheUnwritable, match="is there already"):
        write_start(tmp_path, tokenizer, CONTROL, DECODER)


@pytest.mark.parametrize("data", [b"", b"\x06\0\0\0", b"\x07\0\0\0\x08\0Whisper\0" + bytes(8)])
def test_a_file_that_is_no_whisper_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.bin").write_bytes(data)
    with pytest.raises(ModelDamaged, match=r"model.bin is no Whisper"):
        read_encoder(tmp_path)


def test_a_file_that_is_no_graph_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelDamaged, match=r"yamnet.onnx cannot be read"):
        read_yamnet(tmp_path)
    (tmp_path / "yamnet.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelDamaged, match=r"yamnet.onnx cannot be read"):
        read_yamnet(tmp_path)
