"""LoRA: large matrices stay as they are, and what is learnt is a narrow product beside each.

Written here and not taken from a library, as it is twenty lines, and so parameters keep the names
that a checkpoint has. A checkpoint holds the sum, so that nobody who opens it has to know.

Shape suffixes: I inputs, O outputs, R rank.
"""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from training.learning.network import Network

# What the product counts, whatever the rank: alpha = 2 x rank, as it is mostly chosen.
SCALE = 2.0
MARK = ".lora_"
_DOWN, _UP = ".lora_down", ".lora_up"


class Adapted(nn.Linear):
    """A linear layer around the weights of another, which changes nothing before it has learnt."""

    def __init__(self, whole: nn.Linear, rank: int) -> None:
        super().__init__(whole.in_features, whole.out_features, bias=False, device="meta")
        self.weight, self.bias = whole.weight, whole.bias
        bound = whole.in_features**-0.5
        down_RI = whole.weight.new_empty(rank, whole.in_features).uniform_(-bound, bound)
        self.lora_down = nn.Parameter(down_RI)
        self.lora_up = nn.Parameter(whole.weight.new_zeros(whole.out_features, rank))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the whole layer's outputs, and what was learnt beside it."""
        narrow = functional.linear(inputs, self.lora_down)
        return super().forward(inputs) + SCALE * functional.linear(narrow, self.lora_up)


def adapt(network: Network, rank: int) -> None:
    """Put a narrow product beside every matrix of the language model's blocks."""
    for block in network.decoder.blocks:
        for module in list(block.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.Linear) and not isinstance(child, Adapted):
                    setattr(module, name, Adapted(child, rank))


def is_adapted(network: Network) -> bool:
    """Whether `adapt` was called."""
    return any(isinstance(module, Adapted) for module in network.modules())


def merged(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights as those of plain layers: what was learnt is added to what was there."""
    whole = {name: weight for name, weight in weights.items() if MARK not in name}
    for name, down_RI in weights.items():
        if name.endswith(_DOWN):
            layer = name.removesuffix(_DOWN)
            up_OR = weights[layer + _UP]
            whole[f"{layer}.weight"] = whole[f"{layer}.weight"] + SCALE * up_OR @ down_RI
    return whole
