"""One stage of training, step after step, from wherever it was left."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import chain, islice, zip_longest
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any

import torch
from safetensors.torch import load_file

from soundflow.checkpoint.folder import TOKENIZER, open_checkpoint
from soundflow.unified.audio_tower import AudioTower
from soundflow.unified.ears import front_of
from soundflow.unified.logmel import LogMel
from training.learning.batch import Collate
from training.learning.example import Example, Source
from training.learning.held_out import HeldOut
from training.learning.journal import Journal
from training.learning.lora import adapt
from training.learning.network import Network
from training.learning.optimiser import choose, make_optimiser
from training.learning.order import Order
from training.learning.plan import Plan
from training.learning.processes import Processes
from training.learning.saving import CHECKPOINTS, LEARNT, Checkpoints, read_progress
from training.learning.step import Stepper
from training.learning.steps import Sizes, Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Where a run keeps what it makes, and how often. workers: processes that read ahead.

    Each time it is measured as well, on the first `held_out` examples of streams held out, if any.
    """

    folder: Path
    every: int = 500
    kept: int = 2
    workers: int = 0
    held_out: int = 64


class PlanChanged(Exception):
    """The run's folder holds a run with another plan."""


def train(
    plan: Plan,
    sources: Mapping[str, Source],
    keeping: Keeping,
    processes: Processes,
    *,
    held_out: Mapping[str, Source] = MappingProxyType({}),
) -> None:
    """Take the steps that are left, and keep the result. PlanChanged, checkpoint errors."""
    start = open_checkpoint(plan.start)
    checkpoints = Checkpoints(
        keeping.folder / CHECKPOINTS,
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
    collate = Collate(_front(network), start.control, network.decoder.config.max_positions)
    steps = Steps(
        Order(sources, plan.stage.mix_ins, plan.seed),
        collate,
        Sizes(plan.batch, plan.piece),
        processes,
    )
    measured = _held_out(plan, held_out, collate, keeping.held_out)

    def save(taken: int) -> None:
        told = {"plan": plan.described(), "made_with": _made_with(processes)}
        checkpoints.save(taken, network, optimiser, told)

    with _told_to_stop() as stop, _journal(keeping, processes, first, plan.steps) as journal:
        for step, pieces in enumerate(steps.read(range(first, plan.steps), keeping.workers), first):
            values = stepper.take(step, pieces, stop.asked)
            last = step + 1 == plan.steps or values["stop"] > 0
            kept = last or (step + 1) % keeping.every == 0
            if kept and measured:
                values |= measured.measure(network, processes.device)
            if journal:
                journal.tell(step, values)
            if kept:
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


def _front(network: Network) -> LogMel | None:
    tower = network.encoder
    return front_of(tower) if isinstance(tower, AudioTower) else None


def _held_out(
    plan: Plan, sources: Mapping[str, Source], collate: Collate, examples: int
) -> HeldOut | None:
    """Take the first examples, of each source in turn as long as it has some."""
    if not sources or not examples:
        return None
    in_turn = chain.from_iterable(zip_longest(*map(_each, sources.values())))
    taken = list(islice((example for example in in_turn if example), examples))
    taken.sort(key=lambda example: len(example.tokens_T))
    cuts = range(0, len(taken), plan.piece)
    return HeldOut([collate(taken[cut : cut + plan.piece]) for cut in cuts], plan.bf16)


def _each(source: Source) -> Iterator[Example]:
    return (source[index] for index in range(len(source)))


def _made_with(processes: Processes) -> dict[str, Any]:
    """Return what else a repetition needs to know."""
    return {
        "soundflow": _own_version(),
        "torch": torch.__version__,
        "processes": processes.size,
        "device": processes.device.type,
    }


def _own_version() -> str:
    """Return the project's version; its sources may run uninstalled, as in the image of Jobs."""
    try:
        return version("soundflow")
    except PackageNotFoundError:
        return "not installed"


def _compare(plan: Plan, before: dict[str, Any]) -> None:
    now = plan.described()
    differing = [name for name in now if now[name] != before.get(name)]
    if differing:
        told = ", ".join(f"{name} was {before.get(name)}, is {now[name]}" for name in differing)
        raise PlanChanged(f"the run that is kept there had another plan: {told}")
