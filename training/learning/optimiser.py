"""What learns, and how a step changes it: AdamW, a cosine after a warm-up, clipped gradients."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import cos, pi

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import AdamW

from training.learning.lora import MARK, is_adapted
from training.learning.network import Network
from training.stages import Stage

BETAS = (0.9, 0.95)
EPSILON = 1e-8
EMBEDDING = "decoder.embedding.weight"
# The published files hold it; nothing that streams uses it.
UNUSED = "encoder.audio_bos_eos_token.weight"


def choose(network: Network, stage: Stage) -> None:
    """Let the stage's parameters learn, and none else. ValueError when a pattern means none.

    With LoRA, of a language model that would learn as a whole only the narrow products do.
    """
    adapted = is_adapted(network)
    names = [name for name, _ in network.named_parameters()]
    for pattern in stage.learns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(f"stage {stage.name}: no parameter is called {pattern!r}")
    for name, parameter in network.named_parameters():
        rows = stage.learns_control_rows and name == EMBEDDING
        learns = any(fnmatchcase(name, pattern) for pattern in stage.learns)
        if adapted and name.startswith("decoder.") and _as_a_whole(stage):
            learns = MARK in name
        parameter.requires_grad_((learns or rows) and name != UNUSED)


def make_optimiser(network: Network, stage: Stage) -> AdamW:
    """Return AdamW over what learns; matrices decay, vectors and embeddings do not."""
    learning = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    decays = [p for name, p in learning if p.ndim > 1 and "embedding" not in name]
    others = [p for name, p in learning if not (p.ndim > 1 and "embedding" not in name)]
    groups = [
        {"params": params, "weight_decay": decay}
        for params, decay in ((decays, stage.weight_decay), (others, 0.0))
        if params
    ]
    return AdamW(groups, lr=stage.learning_rate, betas=BETAS, eps=EPSILON)


def rate(step: int, steps: int, stage: Stage) -> float:
    """Return the learning rate of a step: up in a line from its first, then down in a cosine."""
    warmup = max(1, round(steps * stage.warmup_share))
    if step < warmup:
        return stage.learning_rate * (step + 1) / warmup
    return stage.learning_rate * 0.5 * (1 + cos(pi * (step - warmup) / max(1, steps - warmup)))


@dataclass(frozen=True, slots=True)
class ControlRows:
    """Keeps all rows of the embedding as they are, but those of the control tokens."""

    weight: Tensor
    learns: Tensor

    @classmethod
    def of(cls, network: Network, rows: Sequence[int]) -> "ControlRows":
        """Watch over a network's embedding, sharded or not."""
        weight = network.decoder.embedding.weight
        learns = torch.zeros(weight.shape[0], 1, device=weight.device)
        learns[sorted(rows)] = 1.0
        if isinstance(weight, DTensor):
            learns = distribute_tensor(learns, weight.device_mesh, weight.placements)
        return cls(weight, learns)

    def hold(self) -> None:
        """Take the other rows' gradients away. As they do not decay either, they stay exactly."""
        if self.weight.grad is not None:
            self.weight.grad.mul_(self.learns)


def learning(network: Network) -> Iterator[nn.Parameter]:
    """Yield the parameters that learn."""
    return (parameter for parameter in network.parameters() if parameter.requires_grad)


def _as_a_whole(stage: Stage) -> bool:
    return any(pattern in ("*", "decoder.*") for pattern in stage.learns)
