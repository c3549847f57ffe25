"""Checkpoints as versions of a repository: whole, tried first, of one shape, and not for ever."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from soundflow.checkpoint import CheckpointError
from soundflow.models import load_decoder, load_encoder
from soundflow.serving.versions import model_of
from tests.training import tiny
from training import repository
from training.export import REPOSITORY
from training.learning.saving import WEIGHTS
from training.publish import checkpoint_in
from training.repository import RepositoryMisfit, add, prune, versions
from training.trial import TrialFailed, try_out


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial starts a process, which takes seconds: for tests of what comes after it."""
    monkeypatch.setattr(repository, "try_out", lambda model, called: None)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return tiny.write_start(tmp_path / "small")


def served(folder: Path, part: str, version: int) -> str:
    """Return which model Triton's backend would load."""
    args = {"model_repository": str(folder / part), "model_version": str(version)}
    return model_of(args, otherwise="cascade")


def test_a_checkpoint_that_works_becomes_a_version_that_can_be_loaded(
    checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "repository"
    assert add(checkpoint, folder) == 1
    assert versions(folder) == [1]
    for part, load in {"encoder": load_encoder, "decoder": load_decoder}.items():
        model = served(folder, part, 1)
        assert Path(model).is_relative_to(folder)
        load(model)
    assert load_decoder(served(folder, "decoder", 1)).info.name == "small"


@pytest.mark.parametrize("word", ["nightly", "null"])  # the latter is a model's name
def test_a_word_that_is_no_folder_here_is_told(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=f"/{word}"):
        add(Path(word), tmp_path / "repository")
    assert os.listdir(tmp_path) == []


def test_a_checkpoint_that_does_not_decide_is_never_offered(
    checkpoint: Path, tmp_path: Path
) -> None:
    weights = load_file(checkpoint / WEIGHTS)
    name = next(name for name in weights if name.endswith("norm.weight"))
    save_file(weights | {name: torch.full_like(weights[name], torch.nan)}, checkpoint / WEIGHTS)
    folder = tmp_path / "repository"
    with pytest.raises(TrialFailed, match=f"{checkpoint} cannot be served.* not finite"):
        add(checkpoint, folder)
    assert os.listdir(folder) == [".lock"]


def test_what_a_trial_meets_is_told() -> None:
    with pytest.raises(TrialFailed, match="it cannot be served.* no model 'unheard-of'"):
        try_out("unheard-of", called="it")


def test_versions_go_up_and_the_oldest_leave(
    checkpoint: Path, tmp_path: Path, untried: None
) -> None:
    folder = tmp_path / "repository"
    assert [add(checkpoint, folder, kept=2) for _ in range(4)] == [1, 2, 3, 4]
    assert versions(folder) == [3, 4]
    assert prune(folder, kept=1) == [3]
    assert add(checkpoint, folder) == 5
    assert sorted(os.listdir(folder / "decoder")) == ["4", "5", "config.pbtxt"]


def test_one_that_was_not_put_into_place_whole_is_no_version(
    checkpoint: Path, tmp_path: Path, untried: None
) -> None:
    folder = tmp_path / "repository"
    add(checkpoint, folder)
    (folder / "encoder" / "1").rename(folder / "gone")  # as where it was killed in between
    (folder / ".next-killed" / "decoder").mkdir(parents=True)
    assert versions(folder) == []
    assert add(checkpoint, folder) == 2
    assert sorted(os.listdir(folder)) == [".lock", "decoder", "encoder", "gone"]
    assert sorted(os.listdir(folder / "decoder")) == ["2", "config.pbtxt"]  # nor half of 1


def test_those_that_add_at_once_add_one_after_the_other(
    checkpoint: Path, tmp_path: Path, untried: None
) -> None:
    folder = tmp_path / "repository"
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda _: add(checkpoint, folder, kept=4), range(4)))
    assert sorted(added) == versions(folder) == [1, 2, 3, 4]


def test_a_checkpoint_of_another_shape_than_what_is_served_is_refused(checkpoint: Path) -> None:
    with pytest.raises(RepositoryMisfit, match=r"no input 'frames' of \[-1, 10, 24\]"):
        add(checkpoint, REPOSITORY)
    assert versions(REPOSITORY) == [1]


def test_a_version_without_weights_of_its_own_serves_what_the_settings_name() -> None:
    assert served(REPOSITORY, "decoder", 1) == "cascade"


def test_the_newest_checkpoint_of_a_run_is_taken(tmp_path: Path) -> None:
    for name in ("step-00000500", "step-00001000", "step-00001500.partial"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert checkpoint_in(tmp_path).name == "step-00001000"
    assert checkpoint_in(tmp_path / "checkpoints" / "step-00000500").name == "step-00000500"


def test_a_folder_may_be_called_as_the_links_to_it_are(tmp_path: Path, untried: None) -> None:
    folder = tmp_path / "repository"
    assert add(tiny.write_start(tmp_path / "checkpoint"), folder) == 1
    for part, load in {"encoder": load_encoder, "decoder": load_decoder}.items():
        load(served(folder, part, 1))
