"""One step of training: gradients of all pieces of a batch, then one update."""

from math import isfinite
from time import perf_counter

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from training.learning.batch import Batch, Targets
from training.learning.network import Network
from training.learning.optimiser import ControlRows, learning, rate
from training.learning.plan import Plan
from training.learning.processes import Processes
from training.loss import losses


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

    def take(self, step: int, pieces: list[Batch], stopping: bool) -> dict[str, float]:
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
        both = self._processes.sum(torch.stack([text, stream, text.new_tensor(float(stopping))]))
        text_loss, stream_loss, stops = both.tolist()
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
            "stop": stops,
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


def _plain(norm: Tensor) -> Tensor:
    """Return a norm over all shards, where there are any."""
    whole: Tensor = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
    return whole
