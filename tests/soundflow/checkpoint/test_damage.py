"""What is wrong with a checkpoint is told by the file, and by the tensor or the field."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from soundflow.checkpoint import own
from soundflow.checkpoint.convert import convert
from soundflow.checkpoint.errors import CheckpointError, ModelDamaged, ModelMissing
from soundflow.checkpoint.folder import open_checkpoint
from tests.soundflow.checkpoint.folders import INDEX, PTH, write_published, write_stock

SHARD = "model-00002-of-00003.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_published(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Iterator[Path]:
    yield shutil.copytree(whole, tmp_path / "damaged")
    shutil.rmtree(tmp_path)  # 80 MB for each test add up


def load(folder: Path) -> None:
    checkpoint = open_checkpoint(folder)
    checkpoint.verify()
    checkpoint.make_encoder()
    checkpoint.make_decoder()


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    return str(caught.value)


def change_shard(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(folder / SHARD)
    change(tensors)
    save_file(tensors, folder / SHARD)
    index = json.loads((folder / INDEX).read_text())
    kept = {name: file for name, file in index["weight_map"].items() if file != SHARD}
    index["weight_map"] = kept | dict.fromkeys(tensors, SHARD)
    (folder / INDEX).write_text(json.dumps(index))


def change_pth(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    tensors = torch.load(folder / PTH, weights_only=True)
    change(tensors)
    torch.save(tensors, folder / PTH)


def any_name(folder: Path) -> str:
    return sorted(load_file(folder / SHARD))[0]


def test_the_undamaged_folder_loads(folder: Path) -> None:
    load(folder)
    change_shard(folder, lambda tensors: None)
    change_pth(folder, lambda tensors: None)
    load(folder)


def test_a_missing_tensor_is_named(folder: Path) -> None:
    name = any_name(folder)
    change_shard(folder, lambda tensors: tensors.pop(name))
    assert refusal(folder) == f"{folder / INDEX}: tensor {name} is missing"


def test_a_tensor_that_the_index_lists_and_its_file_lacks_is_named(folder: Path) -> None:
    name = any_name(folder)
    tensors = load_file(folder / SHARD)
    del tensors[name]
    save_file(tensors, folder / SHARD)
    assert refusal(folder).startswith(f"{folder / SHARD}: tensor {name} is missing")


def test_an_unexpected_tensor_is_named(folder: Path) -> None:
    change_shard(folder, lambda tensors: tensors.update({"lora.weight": torch.ones(1)}))
    assert refusal(folder) == f"{folder / SHARD}: tensor lora.weight is unexpected"


def test_a_wrong_shape_is_named(folder: Path) -> None:
    name = "transformer.h.0.mlp.proj.weight"
    file = folder / json.loads((folder / INDEX).read_text())["weight_map"][name]
    tensors = load_file(file)
    tensors[name] = tensors[name].T.contiguous()
    save_file(tensors, file)
    assert refusal(folder) == f"{file}: tensor {name} is [96, 64]; [64, 96] is expected"


def test_a_wrong_type_is_named(folder: Path) -> None:
    name = any_name(folder)
    change_shard(folder, lambda tensors: tensors.update({name: tensors[name].to(torch.int8)}))
    message = refusal(folder)
    assert message.startswith(f"{folder / SHARD}: tensor {name} is of type I8")
    assert "bfloat16 is expected" in message


def test_a_tensor_in_two_files_is_named(folder: Path) -> None:
    tensors = load_file(folder / SHARD)
    other = folder / SHARD.replace("00002", "00001")
    name = any_name(folder)
    save_file(load_file(other) | {name: tensors[name]}, other)
    message = refusal(folder)
    assert str(other) in message
    assert f"{folder / SHARD}: tensor {name}" in message


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("name", [SHARD, PTH])
def test_a_truncated_file_is_named(folder: Path, name: str, kept: float) -> None:
    file = folder / name
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * kept)])
    assert refusal(folder).startswith(f"{file} cannot be read: ")


@pytest.mark.parametrize(
    "name", [SHARD, PTH, "model_config.yaml", "qwen25OmniConfig/config.json", "tokenizer.json"]
)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelMissing) as caught:
        load(folder)
    assert name in str(caught.value)


def test_a_missing_index_is_named(folder: Path) -> None:
    (folder / INDEX).unlink()
    with pytest.raises(ModelMissing, match="index.json is missing, and so is model.safetensors"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (INDEX, "{}"),
        (INDEX, "not JSON"),
        ("model_config.yaml", "a: [1"),
        ("model_config.yaml", "just text"),
        ("qwen25OmniConfig/config.json", "[]"),
        ("tokenizer.json", "{}"),
    ],
)
def test_a_file_of_something_else_is_named(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    assert str(folder / name) in refusal(folder)


@pytest.mark.parametrize(
    "name",
    ["n_layer", "head_size", "rope_base", "norm_eps", "attn_bias", "rotary_percentage", "bias"],
)
def test_a_missing_field_is_named(folder: Path, name: str) -> None:
    change_fields(folder, lambda fields: fields.pop(name))
    assert refusal(folder) == f"{folder / 'model_config.yaml'}: {name} is missing"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_layer", "two"),
        ("n_layer", True),
        ("n_query_groups", 3),
        ("norm_class_name", "LayerNorm"),
        ("parallel_residual", True),
        ("rotary_percentage", 0.5),
        ("final_logit_softcapping", 30.0),
        ("padded_vocab_size", 1000),
    ],
)
def test_a_field_that_is_not_understood_is_named(folder: Path, name: str, value: object) -> None:
    change_fields(folder, lambda fields: fields.update({name: value}))
    message = refusal(folder)
    assert str(folder) in message
    assert str(value) in message


def test_a_field_of_the_encoder_is_named_with_the_way_to_it(folder: Path) -> None:
    file = folder / "qwen25OmniConfig" / "config.json"
    fields = json.loads(file.read_text())
    del fields["thinker_config"]["audio_config"]["d_model"]
    file.write_text(json.dumps(fields))
    assert refusal(folder) == f"{file}: thinker_config.audio_config.d_model is missing"


def test_an_encoder_of_another_width_is_refused(folder: Path) -> None:
    file = folder / "qwen25OmniConfig" / "config.json"
    fields = json.loads(file.read_text())
    fields["thinker_config"]["audio_config"]["output_dim"] = 48
    file.write_text(json.dumps(fields))
    assert "frames are 48 wide, the decoder is 64" in refusal(folder)


def test_more_problems_than_fit_are_counted(folder: Path) -> None:
    change_pth(folder, lambda tensors: tensors.clear())
    lines = refusal(folder).splitlines()
    assert lines[0].startswith(f"{folder / PTH}: tensor conv1.weight is missing")
    assert lines[5].startswith("and ")


def test_a_pth_that_would_run_code_is_refused(folder: Path) -> None:
    ran = folder / "ran"
    torch.save({"conv1.weight": _Touches(ran)}, folder / PTH)
    assert refusal(folder).startswith(f"{folder / PTH} cannot be read")
    assert not ran.exists()


def test_a_pth_without_tensors_is_refused(folder: Path) -> None:
    change_pth(folder, lambda tensors: tensors.update({"conv1.weight": "text"}))
    assert refusal(folder) == f"{folder / PTH}: conv1.weight is no tensor, but str"
    torch.save([torch.ones(1)], folder / PTH)
    assert refusal(folder) == f"{folder / PTH} holds no tensors by name, but list"


def test_a_pth_of_the_old_format_is_read(folder: Path) -> None:
    tensors = torch.load(folder / PTH, weights_only=True)
    torch.save(tensors, folder / PTH, _use_new_zipfile_serialization=False)
    load(folder)


def test_what_is_wrong_with_our_own_folder_is_named(folder: Path, tmp_path: Path) -> None:
    convert(open_checkpoint(folder), tmp_path / "own")
    file = tmp_path / "own" / own.FIELDS
    fields = json.loads(file.read_text())

    def told(change: Callable[[dict[str, Any]], object]) -> str:
        changed = json.loads(json.dumps(fields))
        change(changed)
        file.write_text(json.dumps(changed))
        return refusal(tmp_path / "own")

    assert told(lambda f: f.pop("control")) == f"{file}: control is missing"
    assert told(lambda f: f["control"].pop("pad")) == f"{file}: control.pad is missing"
    assert told(lambda f: f["encoder"].update(wings=2)) == f"{file}: encoder.wings is unknown"
    assert "format is 2; only 1 is understood" in told(lambda f: f.update(format=2))


def test_a_stock_model_of_another_family_is_refused(tmp_path: Path) -> None:
    write_stock(tmp_path)
    fields = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(fields | {"model_type": "llama"}))
    assert "model_type is 'llama'" in refusal(tmp_path)


def test_nothing_is_left_of_a_conversion_that_fails(folder: Path, tmp_path: Path) -> None:
    def fail(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    before = set(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        convert(open_checkpoint(folder), tmp_path / "own", report=fail)
    assert set(tmp_path.iterdir()) == before


def test_a_conversion_never_writes_over_anything(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    with pytest.raises(CheckpointError, match="own is there already"):
        convert(open_checkpoint(folder), tmp_path / "own")


def test_a_conversion_tells_how_far_it_is(folder: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    convert(open_checkpoint(folder), tmp_path / "own", report=lambda *now: told.append(now))
    done = [one for one, _ in told]
    assert done == sorted(done)
    assert {total for _, total in told} == {done[-1]}


def test_damage_is_no_lack(folder: Path) -> None:
    (folder / SHARD).write_bytes(b"")
    with pytest.raises(ModelDamaged):
        load(folder)


def change_fields(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = folder / "model_config.yaml"
    fields = yaml.safe_load(file.read_text())
    change(fields)
    file.write_text(yaml.safe_dump(fields))


class _Touches:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))
