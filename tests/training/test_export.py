"""The Triton repository's configurations: what the models declare, and nothing stale."""

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig

from soundflow.features import TensorSpec
from soundflow.models import is_checkpoint, model_names, tensors_of
from training import export
from training.export import configs, decoder_config, encoder_config, every_tensor


def test_the_committed_files_are_what_the_models_declare() -> None:
    for path, text in configs().items():
        assert path.read_text() == text, "make export"


def test_the_files_are_configurations_that_triton_reads() -> None:
    for path, text in configs().items():
        assert text_format.Parse(text, ModelConfig()).name == path.parent.name


@pytest.mark.parametrize("name", [name for name in model_names() if not is_checkpoint(name)])
def test_every_model_fits(name: str) -> None:
    outputs = {output.name: list(output.dims) for output in encoder_config(every_tensor()).output}
    rows = {row.name: row for row in decoder_config(every_tensor()).input}
    for spec in tensors_of(name):
        assert outputs[spec.name] == list(spec.shape)
        assert list(rows[spec.name].dims) == [-1, *spec.shape]
        assert rows[spec.name].optional


def test_a_tensor_that_varies_has_its_length_beside_it() -> None:
    tensors = {spec.name: spec for spec in every_tensor()}
    assert tensors["speech"].varies
    assert tensors["speech_length"] == TensorSpec("speech_length", "int32", (1,))


def test_models_that_differ_in_a_tensor_of_one_name_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kinds = {"one": "float32", "other": "int32"}
    monkeypatch.setattr(export, "model_names", lambda: list(kinds))
    monkeypatch.setattr(export, "tensors_of", lambda n: (TensorSpec("level", kinds[n], (1,)),))
    with pytest.raises(ValueError, match="level"):
        every_tensor()


def test_a_checkpoint_gets_a_repository_of_its_own_numbers(
    golden_folder: Path, tmp_path: Path
) -> None:
    command = ("-m", "training.export", "--model", str(golden_folder), "--to", str(tmp_path))
    subprocess.run([sys.executable, *command], check=True, cwd=export.REPOSITORY.parent)
    encoder = text_format.Parse((tmp_path / "encoder/config.pbtxt").read_text(), ModelConfig())
    decoder = text_format.Parse((tmp_path / "decoder/config.pbtxt").read_text(), ModelConfig())
    outputs = {output.name: list(output.dims) for output in encoder.output}
    assert outputs == {"frames": [10, 64], "state": [1], "error": [1]}
    inputs = {one.name: (list(one.dims), one.data_type) for one in decoder.input}
    assert inputs == {
        "calls": ([1], DataType.TYPE_STRING),
        "frames": ([-1, 10, 64], DataType.TYPE_FP32),
    }
    for name in ("encoder", "decoder"):
        code = Path(name, "1", "model.py")
        assert (tmp_path / code).read_text() == (export.REPOSITORY / code).read_text()


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    command = ("-m", "training.export", "--model", str(tmp_path), "--to", str(tmp_path / "to"))
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=export.REPOSITORY.parent
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path} is no checkpoint")
    assert not (tmp_path / "to").exists()
