"""One stage of training, step after step, from wherever it was left."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors.torch import load_file

from soundflow.checkpoint.folder import TOKENIZER, open_checkpoint
from soundflow.unified.logmel import LogMel
from training.learning.batch import Collate
from training.learning.example import Source
from training.learning.journal import Journal
from training.learning.lora import adapt
from training.learning.network import Network
from training.learning.optimiser import choose, make_optimiser
from training.learning.order import Order
from training.learning.plan import Plan
from training.learning.processes import Processes
from training.learning.saving import LEARNT, Checkpoints, read_progress
from training.learning.step import Stepper
from training.learning.steps import Sizes, Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Where a run keeps what it makes, and how often. workers: processes that read ahead."""

    folder: Path
    every: int = 500
    kept: int = 2
    workers: int = 0


class PlanChanged(Exception):
    """The run's folder holds a run with another plan."""


def train(
    plan: Plan, sources: Mapping[str, Source], keeping: Keeping, processes: Processes
) -> None:
    """Take the steps that are left, and keep the result. PlanChanged, checkpoint errors."""
    start = open_checkpoint(plan.start)
    checkpoints = Checkpoints(
        keeping.folder / "checkpoints",
        start.control,
        plan.start / TOKENIZER,
        processes,
        keeping.kept,
    )
    newest = checkpoints.newest()
    if newest is not None:
        _compare(plan, read_progress(newest)["plan"])
    network = _network(plan, newest)
    choose(network, plan.stage)
    network = processes.shard(network)
    optimiser = make_optimiser(network, plan.stage)
    torch.manual_seed(plan.seed + processes.rank)
    first = checkpoints.restore(newest, network, optimiser) if newest else 0
    stepper = Stepper(plan, network, optimiser, processes, sorted(start.control.ids))
    steps = Steps(
        Order(sources, plan.stage.mix_ins, plan.seed),
        Collate(_front(network), start.control, network.decoder.config.max_positions),
        Sizes(plan.batch, plan.piece),
        processes,
    )

    def save(taken: int) -> None:
        told = {"plan": plan.described(), "made_with": _made_with(processes)}
        checkpoints.save(taken, network, optimiser, told)

    with _told_to_stop() as stop, _journal(keeping, processes, first, plan.steps) as journal:
        for step, pieces in enumerate(steps.read(range(first, plan.steps), keeping.workers), first):
            values = stepper.take(step, pieces, stop.asked)
            if journal:
                journal.tell(step, values)
            last = step + 1 == plan.steps or values["stop"] > 0
            if last or (step + 1) % keeping.every == 0:
                save(step + 1)
            if last:
                break


def open_network(folder: Path) -> Network:
    """Read a checkpoint in float32, to be trained. Checkpoint errors."""
    checkpoint = open_checkpoint(folder)
    encoder = checkpoint.make_encoder(torch.float32)
    decoder = checkpoint.make_decoder(torch.float32)
    return Network(encoder, decoder, checkpoint.control).train()


def _network(plan: Plan, newest: Path | None) -> Network:
    """Return the network as the run begins, or goes on, with it."""
    if not plan.lora_rank:
        return open_network(newest or plan.start)
    network = open_network(plan.start)
    torch.manual_seed(plan.seed)  # the same in every process
    adapt(network, plan.lora_rank)
    if newest:
        network.load_state_dict(load_file(newest / LEARNT), strict=False)
    return network


@dataclass(slots=True)
class Stop:
    """Whether the process was asked to end."""

    asked: bool = False


@contextmanager
def _told_to_stop() -> Iterator[Stop]:
    """Watch for SIGTERM, which a cluster gives some time before it ends a process."""
    stop = Stop()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.asked = True

    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _journal(
    keeping: Keeping, processes: Processes, first: int, steps: int
) -> Iterator[Journal | None]:
    if not processes.first:
        yield None
        return
    with Journal(keeping.folder, first, steps) as journal:
        yield journal


def _front(network: Network) -> LogMel:
    config = network.encoder.config
    return LogMel(config.mels, config.context_chunks)


def _made_with(processes: Processes) -> dict[str, Any]:
    """Return what else a repetition needs to know."""
    return {
        "soundflow": version("soundflow"),
        "torch": torch.__version__,
        "processes": processes.size,
        "device": processes.device.type,
    }


def _compare(plan: Plan, before: dict[str, Any]) -> None:
    now = plan.described()
    differing = [name for name in now if now[name] != before.get(name)]
    if differing:
        told = ", ".join(f"{name} was {before.get(name)}, is {now[name]}" for name in differing)
        raise PlanChanged(f"the run that is kept there had another plan: {told}")
