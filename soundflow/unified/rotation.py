"""Rotary positions: a head's first half and second half are pairs, turned by the position's angle.

Shape suffixes: T positions of the table, N positions asked for, P pairs of a head.
"""

import torch
from torch import Tensor

from soundflow.unified.config import DecoderConfig

Rotation = tuple[Tensor, Tensor]  # cosines and sines, `(N, 1, P)`: the same for every head


class Rotations:
    """The cosines and sines of all positions that a model has, made once on each device.

    No buffer of a module: they are made in float64, and a checkpoint does not hold them.
    """

    def __init__(self, config: DecoderConfig) -> None:
        self._config = config
        self._tables: dict[torch.device, Rotation] = {}

    def at(self, positions_N: Tensor, dtype: torch.dtype) -> Rotation:
        """Return the rotation of each position."""
        device = positions_N.device
        if device not in self._tables:
            self._tables[device] = self._table(device)
        cos_TP, sin_TP = self._tables[device]
        cos_NP = cos_TP.index_select(0, positions_N).to(dtype)
        sin_NP = sin_TP.index_select(0, positions_N).to(dtype)
        return cos_NP[:, None], sin_NP[:, None]

    def _table(self, device: torch.device) -> Rotation:
        pairs = self._config.head_width // 2
        speed_P = self._config.rope_base ** -(torch.arange(pairs, dtype=torch.float64) / pairs)
        angle_TP = torch.arange(self._config.max_positions, dtype=torch.float64)[:, None] * speed_P
        return angle_TP.cos().float().to(device), angle_TP.sin().float().to(device)


def rotate(heads: Tensor, rotation: Rotation) -> Tensor:
    """Turn queries or keys `(…, N, heads, E)` by their positions."""
    cos, sin = rotation
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
