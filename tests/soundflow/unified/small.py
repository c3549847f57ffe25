"""A tiny tower of the small model's kind, with random weights."""

import torch

from soundflow.unified.small_tower import SmallTower, SmallTowerConfig

TINY = SmallTowerConfig(
    mels=80,
    width=16,
    layers=2,
    heads=2,
    ffn=32,
    tagger_channels=2,
    adapter_width=12,
    adapter_ffn=24,
    projection=16,
    output_width=12,
)


def small_tower(seed: int = 0, config: SmallTowerConfig = TINY) -> SmallTower:
    """Return the tower, the same for the same seed, as for inference."""
    torch.manual_seed(seed)
    tower = SmallTower(config)
    tower.eval().requires_grad_(False)
    return tower
