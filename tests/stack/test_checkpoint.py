"""A platform around a checkpoint's folder: Triton's repository is written for it."""

from pathlib import Path

import pytest

from stack.errors import NotReady
from stack.parts import MODEL_REPOSITORY, Parts
from stack.settings import StackSettings


def test_a_model_that_has_a_name_is_served_from_the_committed_repository(tmp_path: Path) -> None:
    parts = Parts(StackSettings(tmp_path, model="null"))
    parts.write_model_repository()
    assert {server.repository for server in parts.tritons} == {MODEL_REPOSITORY}
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_is_served_from_a_repository_of_its_own(
    golden_folder: Path, tmp_path: Path
) -> None:
    parts = Parts(StackSettings(tmp_path, model=str(golden_folder)))
    parts.write_model_repository()
    for server in parts.tritons:
        assert server.repository == tmp_path / "model_repo"
        assert server.env["SOUNDFLOW_MODEL"] == str(golden_folder)
        [model] = server.models
        assert (server.repository / model / "1" / "model.py").is_file()
        assert "frames" in (server.repository / model / "config.pbtxt").read_text()


def test_so_is_one_that_comes_by_its_name(
    small_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDFLOW_MODELS", str(small_folder.parent))
    parts = Parts(StackSettings(tmp_path, model="small"))
    parts.write_model_repository()
    assert {server.repository for server in parts.tritons} == {tmp_path / "model_repo"}
    assert "dims: 12" in (tmp_path / "model_repo" / "encoder" / "config.pbtxt").read_text()


def test_a_folder_that_holds_no_model_is_told_before_anything_starts(tmp_path: Path) -> None:
    parts = Parts(StackSettings(tmp_path / "stack", model=str(tmp_path)))
    with pytest.raises(NotReady, match="is no checkpoint"):
        parts.write_model_repository()


def test_a_name_that_no_model_has_is_told_before_anything_starts(tmp_path: Path) -> None:
    parts = Parts(StackSettings(tmp_path / "stack", model="cascad"))
    with pytest.raises(NotReady, match="no model 'cascad'; choose cascade, null, small, or a"):
        parts.write_model_repository()
