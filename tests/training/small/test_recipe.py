"""The whole recipe with tiny shapes, and that a killed run goes on as if it had never been."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from soundflow.checkpoint.folder import open_checkpoint
from tests.training.small.material import TOWER, write_corpus, write_start
from tests.training.small.tiny_recipe import STEPS, run
from training.learning.journal import LOG, told
from training.learning.saving import WEIGHTS

STAGES = ("hearing", "listening")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    prepare(folder)
    run(folder)
    return folder


def prepare(folder: Path) -> None:
    write_corpus(folder / "corpus", 4)
    write_corpus(folder / "dev", 2, first=100)
    write_start(folder / "run" / "start")


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return load_file(checkpoint / WEIGHTS)


def losses(folder: Path, stage: str) -> list[float]:
    lines = told(folder / "run" / stage / LOG)
    assert [line["step"] for line in lines] == list(range(STEPS))
    return [line["loss"] for line in lines]


def last(folder: Path) -> Path:
    return folder / "run" / "listening" / "checkpoints" / f"step-{STEPS:08d}"


def test_what_comes_out_is_a_checkpoint_in_16_bits(unbroken: Path) -> None:
    model = open_checkpoint(unbroken / "run" / "model")
    model.verify()
    assert next(model.make_decoder().parameters()).dtype == torch.float16


def test_each_stage_changes_what_it_is_to_teach_and_nothing_else(unbroken: Path) -> None:
    start, ears = (weights(unbroken / "run" / name) for name in ("start", "ears"))
    changed = {name for name, weight in ears.items() if not torch.equal(weight, start[name])}
    assert changed
    loud = "encoder.proj.0.weight"
    spells = ("encoder.adapter.", "encoder.speller.")
    assert all(name.startswith(spells) for name in changed - {loud})
    adapted = 2 * TOWER.adapter_width
    assert torch.equal(ears[loud][:, :adapted], start[loud][:, :adapted])
    model = weights(last(unbroken))
    changed = {name for name, weight in model.items() if not torch.equal(weight, ears[name])}
    assert changed
    assert all(name.startswith(("encoder.proj.", "decoder.")) for name in changed)


def test_both_stages_are_measured_on_streams_that_are_held_out(unbroken: Path) -> None:
    for stage, name in zip(STAGES, ("dev_letters", "held_out_text"), strict=True):
        lines = told(unbroken / "run" / stage / LOG)
        assert [name in line for line in lines] == [False, True, False, True, True]


@pytest.mark.parametrize("lines", [3, STEPS + 3])  # in the one stage, or in the other
def test_killed_and_gone_on_with_it_is_the_same_run(
    unbroken: Path, tmp_path: Path, lines: int
) -> None:
    prepare(tmp_path)
    killed = subprocess.run(
        [
            *(sys.executable, "-m", "tests.training.small.tiny_recipe", str(tmp_path)),
            *("--kill-after", str(lines)),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=150,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    run(tmp_path)

    assert [losses(tmp_path, stage) for stage in STAGES] == [
        losses(unbroken, stage) for stage in STAGES
    ]
    for name, weight in weights(last(unbroken)).items():
        assert torch.equal(weights(last(tmp_path))[name], weight), name
