"""Checkpoints of a run: our own folder, which any other part can open, plus what going on needs.

A checkpoint is written under another name and renamed when it is whole, so that what is there is
whole, whenever the process ends.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.optim import Optimizer

from soundflow.checkpoint.folder import TOKENIZER
from soundflow.checkpoint.own import write_fields
from soundflow.unified.tokens import ControlTokens
from training.learning.lora import MARK, merged
from training.learning.network import Network
from training.learning.processes import Processes

CHECKPOINTS = "checkpoints"  # of a run's folder
WEIGHTS = "model.safetensors"
PROGRESS = "training.json"
OPTIMISER = "optimiser.pt"
# With LoRA: what learns, before it was added to what it stands beside.
LEARNT = "learnt.safetensors"
_PREFIX = "step-"
_PARTIAL = ".partial"
# All of it, on the CPU of the first process, whatever shards there are.
_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints of one run. tokenizer: the file that goes with each. kept: the newest."""

    folder: Path
    control: ControlTokens
    tokenizer: Path
    processes: Processes
    kept: int = 2

    def newest(self) -> Path | None:
        """Return the newest one."""
        return newest_in(self.folder)

    def save(
        self, step: int, network: Network, optimiser: Optimizer, progress: dict[str, Any]
    ) -> None:
        """Write one after `step` steps; every process takes part."""
        weights = get_model_state_dict(network, options=_WHOLE)
        state = get_optimizer_state_dict(network, optimiser, options=_WHOLE)
        path = self.folder / f"{_PREFIX}{step:08d}"
        partial = path.with_name(path.name + _PARTIAL)
        if self.processes.first:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            self._write(partial, network, weights)
            torch.save(state, partial / OPTIMISER)
            (partial / PROGRESS).write_text(json.dumps({"step": step, **progress}, indent=1) + "\n")
        self.processes.wait()
        torch.save(_random_state(), partial / _random_name(self.processes.rank))
        self.processes.wait()
        if self.processes.first:
            _settle(partial, path)
            self._drop_old()
        self.processes.wait()

    def restore(self, path: Path, network: Network, optimiser: Optimizer) -> int:
        """Bring optimiser and randomness to where a checkpoint left them; return its steps.

        The weights were read with the network; see `soundflow.checkpoint`.
        """
        state = torch.load(path / OPTIMISER, map_location="cpu", weights_only=True)
        set_optimizer_state_dict(network, optimiser, state, options=_WHOLE)
        random = path / _random_name(self.processes.rank)
        if random.exists():  # not, where there are more processes than before
            _set_random_state(torch.load(random, weights_only=True))
        step: int = read_progress(path)["step"]
        return step

    def _write(self, folder: Path, network: Network, weights: Mapping[str, Any]) -> None:
        if any(MARK in name for name in weights):
            names = {name for name, p in network.named_parameters() if p.requires_grad}
            save_file({name: weights[name].contiguous() for name in names}, folder / LEARNT)
            weights = merged(weights)
        write_network(folder, network, weights, self.control)
        shutil.copyfile(self.tokenizer, folder / TOKENIZER)

    def _drop_old(self) -> None:
        for path in _whole_ones(self.folder)[: -self.kept]:
            doomed = path.with_name(path.name + _PARTIAL)
            path.rename(doomed)  # so that half a folder is never taken for a whole one
            shutil.rmtree(doomed)


def newest_of(run: Path) -> Path | None:
    """Return the newest checkpoint of a run's folder."""
    return newest_in(run / CHECKPOINTS)


def newest_in(folder: Path) -> Path | None:
    """Return the newest of the checkpoints in a folder; half written ones do not count."""
    return max(_whole_ones(folder), default=None)


def _whole_ones(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob(f"{_PREFIX}*") if path.suffix != _PARTIAL)


def write_network(
    folder: Path, network: Network, weights: Mapping[str, Tensor], control: ControlTokens
) -> None:
    """Write a network's shape and weights; what a checkpoint lacks then is its tokenizer."""
    write_fields(folder, network.encoder.config, network.decoder.config, control)
    save_file({name: w.contiguous() for name, w in _apart(weights).items()}, folder / WEIGHTS)


def read_progress(path: Path) -> dict[str, Any]:
    """Return what was saved beside the weights: how far the run was, and what it was to do."""
    progress: dict[str, Any] = json.loads((path / PROGRESS).read_text())
    return progress


def _apart(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give each name a tensor of its own: an embedding may be the head as well."""
    seen: set[int] = set()
    apart = {}
    for name, weight in weights.items():
        apart[name] = weight.clone() if weight.data_ptr() in seen else weight
        seen.add(weight.data_ptr())
    return apart


def _settle(partial: Path, path: Path) -> None:
    """Make a folder's files last, then give it its name."""
    for file in partial.iterdir():
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
    if path.exists():
        shutil.rmtree(path)
    partial.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _random_name(rank: int) -> str:
    return f"random-{rank}.pt"


def _random_state() -> dict[str, Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _set_random_state(state: dict[str, Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
