"""Models by their folder's path, and what is said where that cannot be."""

import subprocess
import sys
from pathlib import Path

import pytest

from soundflow.checkpoint import CheckpointError, open_checkpoint, shipped
from soundflow.features import TensorSpec
from soundflow.models import is_checkpoint, load_model, tensors_of


def in_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_slash_makes_a_path_and_so_does_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "cascade").mkdir()
    assert is_checkpoint("checkpoint")
    assert is_checkpoint("./nowhere")
    assert not is_checkpoint("nowhere")
    assert not is_checkpoint("cascade")


def test_the_tensors_of_a_folder_are_as_wide_as_it_says(golden_folder: Path) -> None:
    assert tensors_of(str(golden_folder)) == (TensorSpec("frames", "float32", (10, 64)),)


def test_a_model_that_comes_with_the_repository_has_a_name(
    small_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDFLOW_MODELS", str(small_folder.parent))
    assert is_checkpoint("small")
    assert open_checkpoint("small").path == small_folder
    assert tensors_of("small") == (TensorSpec("frames", "float32", (10, 12)),)


def test_where_it_is_missing_it_is_said_how_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDFLOW_MODELS", str(tmp_path / "cache"))
    monkeypatch.setattr(shipped, "REPOSITORY", tmp_path / "repository")
    with pytest.raises(CheckpointError, match="small is neither .*cache/small nor .*train-small"):
        load_model("small")


def test_what_is_neither_a_name_nor_a_folder_is_told() -> None:
    with pytest.raises(ValueError, match="no model 'parrot'; choose one of .*, or a folder's path"):
        load_model("parrot")
    with pytest.raises(CheckpointError, match="nowhere/parrot is not a folder"):
        load_model("nowhere/parrot")


def test_nobody_waits_for_torch_who_does_not_use_it() -> None:
    code = "import sys, soundflow.models, services.cli.main; print('torch' in sys.modules)"
    assert in_python(code) == "False"


def test_where_torch_is_missing_it_is_said_how_to_get_it() -> None:
    code = """
import sys
sys.modules["torch"] = None
from soundflow.checkpoint import CheckpointError, open_checkpoint
try:
    open_checkpoint("anything")
except CheckpointError as error:
    print(error)
"""
    assert in_python(code) == "a model in a folder needs torch: pip install 'soundflow[unified]'"
