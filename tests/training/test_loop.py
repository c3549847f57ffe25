import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from soundflow.checkpoint.folder import open_checkpoint
from tests.training.tiny import write_start
from tests.training.tiny_run import run
from training.learning.journal import LOG, told
from training.learning.loop import PlanChanged
from training.learning.saving import WEIGHTS

ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def process(
    start: Path, folder: Path, *options: str, launcher: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    arguments = [*launcher, "-m", "tests.training.tiny_run", str(start), str(folder), *options]
    return subprocess.run(
        [sys.executable, *arguments], env=ONE_THREAD, capture_output=True, text=True, timeout=150
    )


def losses(folder: Path) -> list[float]:
    lines = told(folder / LOG)
    assert [line["step"] for line in lines] == list(range(8))
    return [line["loss"] for line in lines]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoints" / "step-00000008" / WEIGHTS)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_start(tmp_path_factory.mktemp("start") / "checkpoint")


@pytest.fixture(scope="module")
def unbroken(start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    run(start, folder)
    return folder


def test_it_learns_and_what_it_keeps_opens_like_any_checkpoint(unbroken: Path) -> None:
    told_losses = losses(unbroken)
    assert told_losses[-1] < told_losses[0]
    kept = unbroken / "checkpoints"
    assert sorted(path.name for path in kept.iterdir()) == ["step-00000006", "step-00000008"]
    open_checkpoint(kept / "step-00000008").verify()
    assert list((unbroken / "tensorboard").iterdir())


def test_killed_and_gone_on_it_is_the_same_run(start: Path, unbroken: Path, tmp_path: Path) -> None:
    torn = tmp_path / "checkpoints" / "step-00000003.partial"
    torn.mkdir(parents=True)  # as if it had been killed while it wrote a checkpoint, too
    (torn / WEIGHTS).write_bytes(b"half")
    killed = process(start, tmp_path, "--kill-after", "13")
    assert killed.returncode == -signal.SIGKILL
    assert 3 < len(told(tmp_path / LOG)) < 6, "killed between two checkpoints"

    run(start, tmp_path)

    assert losses(tmp_path) == losses(unbroken)
    for name, weight in weights(unbroken).items():
        assert torch.equal(weights(tmp_path)[name], weight), name


def test_told_to_end_it_keeps_what_it_has_and_goes_on_later(
    start: Path, unbroken: Path, tmp_path: Path
) -> None:
    run(start, tmp_path, kill_after=10, kill_with=signal.SIGTERM)
    taken = len(told(tmp_path / LOG))
    assert taken % 3, "not where it would have kept it anyway"
    assert (tmp_path / "checkpoints" / f"step-{taken:08d}").is_dir()
    run(start, tmp_path)
    assert losses(tmp_path) == losses(unbroken)


def test_two_processes_lose_what_one_does(start: Path, unbroken: Path, tmp_path: Path) -> None:
    folder = tmp_path / "two"
    ended = process(start, folder, launcher=TORCHRUN)
    assert ended.returncode == 0, ended.stderr
    # The same sums in another order.
    assert losses(folder) == pytest.approx(losses(unbroken), rel=1e-5)
    for name, weight in weights(unbroken).items():
        torch.testing.assert_close(weights(folder)[name], weight, rtol=1e-3, atol=1e-4, msg=name)


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_nothing(tmp_path: Path) -> None:
    start = write_start(tmp_path / "start")
    broken = load_file(start / WEIGHTS)
    broken["decoder.norm.weight"][0] = float("nan")
    save_file(broken, start / WEIGHTS)
    with pytest.raises(FloatingPointError, match="step 0: loss=nan"):
        run(start, tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_another_plan_does_not_go_on_in_the_same_folder(start: Path, unbroken: Path) -> None:
    with pytest.raises(PlanChanged, match="piece was 2, is 1"):
        run(start, unbroken, piece=1)
