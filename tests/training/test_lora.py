from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from soundflow.checkpoint.folder import open_checkpoint
from tests.training.tiny import Noise, collate, network, write_start
from training.learning.journal import LOG, told
from training.learning.loop import Keeping, open_network, train
from training.learning.lora import MARK, adapt, merged
from training.learning.optimiser import choose
from training.learning.plan import Plan
from training.learning.processes import Processes
from training.learning.saving import LEARNT
from training.stages import ADAPTER, STREAMING

ALONE = Processes(0, 1, torch.device("cpu"))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def plan(start: Path) -> Plan:
    stage = replace(STREAMING, learning_rate=1e-2)
    return Plan(stage=stage, start=start, steps=4, batch=2, piece=2, bf16=False, lora_rank=3)


def test_before_it_has_learnt_it_changes_nothing() -> None:
    plain, adapted = network(), network()
    adapt(adapted, rank=3)
    batch = collate()([Noise()[0], Noise()[1]])
    assert torch.equal(adapted(batch), plain(batch))
    names = {name for name, _ in adapted.named_parameters() if MARK not in name}
    assert names == {name for name, _ in plain.named_parameters()}


def test_what_was_learnt_may_be_added_to_what_was_there() -> None:
    adapted, plain = network(), network()
    adapt(adapted, rank=3)
    for name, parameter in adapted.named_parameters():
        if name.endswith("lora_up"):
            torch.nn.init.normal_(parameter, std=0.1)
    batch = collate()([Noise()[0]])
    before = plain(batch)
    plain.load_state_dict(merged(adapted.state_dict()))
    torch.testing.assert_close(plain(batch), adapted(batch))
    assert not torch.allclose(plain(batch), before)


def test_of_the_language_model_only_the_narrow_products_learn() -> None:
    adapted = network()
    adapt(adapted, rank=3)
    choose(adapted, STREAMING)
    learns = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert {name for name in learns if name.startswith("decoder.")} == {
        name for name, _ in adapted.named_parameters() if MARK in name
    }
    assert any(name.startswith("encoder.proj") for name in learns)
    choose(adapted, ADAPTER)
    assert not any(
        p.requires_grad for name, p in adapted.named_parameters() if name.startswith("decoder.")
    )


def test_a_run_goes_on_as_if_it_had_not_been_left_and_its_result_opens_as_any(
    tmp_path: Path,
) -> None:
    start, sources = write_start(tmp_path / "start"), {"base": Noise()}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(plan(start), sources, Keeping(folder=whole, every=2), ALONE)
    train(plan(start), sources, Keeping(folder=parts, every=2), ALONE)
    for path in (parts / "checkpoints").glob("step-00000004"):  # as if it had ended before
        path.rename(tmp_path / "away")
    train(plan(start), sources, Keeping(folder=parts, every=2), ALONE)
    lines = [[line["loss"] for line in told(folder / LOG)] for folder in (whole, parts)]
    assert lines[0] == lines[1]
    assert len(lines[0]) == 4

    newest = whole / "checkpoints" / "step-00000004"
    open_checkpoint(newest).verify()
    adapted = open_network(start)
    adapt(adapted, rank=3)
    adapted.load_state_dict(load_file(newest / LEARNT), strict=False)
    batch = collate()([Noise()[5]])
    torch.testing.assert_close(open_network(newest)(batch), adapted(batch))
