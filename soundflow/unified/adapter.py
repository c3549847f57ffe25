"""The small tower's adapter: residual convolutions over a session's positions, causal and valid.

Shape suffixes: B sessions, P positions (20 ms), D width.
"""

import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn


class Adapter(nn.Module):
    """A linear map, then blocks that each see `kernel` positions, none later than their own.

    Convolutions are not padded: what is given begins `before` positions before what is returned,
    so that a stream cut anywhere gives what it gives whole.
    """

    def __init__(self, inputs: int, width: int, ffn: int, blocks: int, kernel: int) -> None:
        super().__init__()
        self.before = blocks * (kernel - 1)
        self.norm = nn.LayerNorm(inputs)
        self.enter = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(_Block(width, ffn, kernel) for _ in range(blocks))

    def forward(self, positions_BPD: Tensor) -> Tensor:
        """Turn `(B, before + P, inputs)` into `(B, P, width)`."""
        hidden_BPD: Tensor = self.enter(self.norm(positions_BPD))
        for block in self.blocks:
            hidden_BPD = block(hidden_BPD)
        return hidden_BPD


class _Block(nn.Module):
    """ConvNeXt's: a convolution of each channel alone, then an MLP (arXiv 2201.03545)."""

    def __init__(self, width: int, ffn: int, kernel: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(width, width, kernel, groups=width)
        self.norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, ffn)
        self.fc2 = nn.Linear(ffn, width)

    def forward(self, hidden_BPD: Tensor) -> Tensor:
        mixed_BPD = self.convolution(hidden_BPD.transpose(1, 2)).transpose(1, 2)
        inner_BPF = F.gelu(self.fc1(self.norm(mixed_BPD)))
        output_BPD: Tensor = hidden_BPD[:, -mixed_BPD.shape[1] :] + self.fc2(inner_BPF)
        return output_BPD
