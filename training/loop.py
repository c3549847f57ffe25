"""One stage of training, step after step, from wherever it was left."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from soundflow.checkpoint.folder import TOKENIZER, open_checkpoint
from soundflow.unified.logmel import LogMel
from training.batch import Batch, Collate, Targets
from training.example import Source
from training.journal import Journal
from training.lora import adapt
from training.loss import losses
from training.network import Network
from training.optimiser import ControlRows, choose, learning, make_optimiser, rate
from training.order import Order
from training.processes import Processes
from training.saving import LEARNT, Checkpoints, read_progress
from training.stages import Stage
from training.steps import Sizes, Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is to do; a run that goes on must have the same.

    start: the checkpoint's folder that it begins from. piece: examples of one forward. bf16: the
    forward's products in bfloat16; weights and their updates stay float32. lora_rank: 0 = none.
    """

    stage: Stage
    start: Path
    steps: int
    batch: int
    piece: int
    seed: int = 0
    bf16: bool = True
    lora_rank: int = 0

    def described(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        stage = {field.name: getattr(self.stage, field.name) for field in fields(self.stage)}
        plain = {"learns": list(self.stage.learns), "mix_ins": dict(self.stage.mix_ins)}
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return own | {"start": str(self.start.resolve()), "stage": stage | plain}


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
        checkpoints.save(taken, network, optimiser, {"plan": plan.described()})

    with _told_to_stop() as stop, _journal(keeping, processes, first, plan.steps) as journal:
        for step, pieces in enumerate(steps.read(range(first, plan.steps), keeping.workers), first):
            values = stepper.take(step, pieces, stop)
            if journal:
                journal.tell(step, values)
            last = step + 1 == plan.steps or values["stop"] > 0
            if last or (step + 1) % keeping.every == 0:
                save(step + 1)
            if last:
                break


class Stepper:
    """Takes steps. It keeps nothing between them but the network and its optimiser."""

    def __init__(
        self,
        plan: Plan,
        network: Network,
        optimiser: torch.optim.Optimizer,
        processes: Processes,
        control_ids: list[int],
    ) -> None:
        self._plan = plan
        self._network = network
        self._optimiser = optimiser
        self._processes = processes
        held = plan.stage.learns_control_rows
        self._rows = ControlRows.of(network, control_ids) if held else None

    def take(self, step: int, pieces: list[Batch], stop: "Stop") -> dict[str, float]:
        """Learn from a step's pieces; return what it was like. FloatingPointError."""
        began = perf_counter()
        learning_rate = rate(step, self._plan.steps, self._plan.stage)
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate
        mine = sum((piece.targets for piece in pieces), Targets(0, 0))
        whole = self._processes.total(mine)
        text, stream = self._backward(pieces, whole)
        if self._rows:
            self._rows.hold()
        limit = self._plan.stage.longest_gradient
        gradient = float(_plain(clip_grad_norm_(learning(self._network), limit)))
        both = self._processes.sum(torch.stack([text, stream, text.new_tensor(stop.asked)]))
        text_loss, stream_loss, stopping = both.tolist()
        loss = text_loss + self._plan.stage.stream_weight * stream_loss
        if not isfinite(loss) or not isfinite(gradient):
            raise FloatingPointError(f"step {step}: {loss=}, {gradient=}")
        self._optimiser.step()
        self._optimiser.zero_grad()
        return {
            "loss": loss,
            "text": text_loss,
            "stream": stream_loss,
            "gradient": gradient,
            "learning_rate": learning_rate,
            "text_targets": whole.text,
            "stream_targets": whole.stream,
            "seconds": perf_counter() - began,
            "stop": stopping,
        }

    def _backward(self, pieces: list[Batch], whole: Targets) -> tuple[Tensor, Tensor]:
        """Add up the gradients of all pieces; return the sums of their shares of both losses."""
        device = self._processes.device
        text, stream = torch.zeros(2, device=device)
        for piece in pieces:
            there = piece.to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=self._plan.bf16):
                logits = self._network(there)
            found = losses(logits, there, whole)
            # Sharding averages gradients over the processes; each has its share of the sum.
            total = found.total(self._plan.stage.stream_weight) * self._processes.size
            torch.autograd.backward(total)
            text, stream = text + found.text.detach(), stream + found.stream.detach()
        return text, stream


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


def _compare(plan: Plan, before: dict[str, Any]) -> None:
    now = plan.described()
    differing = [name for name in now if now[name] != before.get(name)]
    if differing:
        told = ", ".join(f"{name} was {before.get(name)}, is {now[name]}" for name in differing)
        raise PlanChanged(f"the run that is kept there had another plan: {told}")


def _plain(norm: Tensor) -> Tensor:
    """Return a norm over all shards, where there are any."""
    whole: Tensor = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
    return whole
