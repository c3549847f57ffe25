"""A tiny random language model, and ways to run it, for the tests of what is built around it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from soundflow.unified.config import DecoderConfig
from soundflow.unified.pages import PagedCache
from soundflow.unified.quantised import WeightFormat
from soundflow.unified.transformer import LanguageModel
from soundflow.unified.weightless import without_weights

CONFIG = DecoderConfig(
    layers=3,
    width=48,
    heads=6,
    kv_heads=2,
    head_width=8,
    ffn=80,
    vocabulary=97,
    max_positions=600,
)


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Compute with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def weights(seed: int = 0, config: DecoderConfig = CONFIG) -> dict[str, Tensor]:
    """Return random weights, of a size that keeps logits and scores of the order of 1."""
    chance = torch.Generator().manual_seed(seed)
    with without_weights():
        shapes = {name: w.shape for name, w in LanguageModel(config).state_dict().items()}
    made = {}
    for name, shape in shapes.items():
        numbers = torch.randn(shape, generator=chance)
        if name.endswith("norm.weight"):
            made[name] = 1 + 0.2 * numbers
        elif name.startswith("embedding") or name.endswith("bias"):
            made[name] = numbers
        else:
            made[name] = numbers / shape[-1] ** 0.5
    return made


def model(
    state: dict[str, Tensor],
    config: DecoderConfig = CONFIG,
    dtype: torch.dtype = torch.float32,
    kept_as: WeightFormat = WeightFormat.FLOAT,
) -> LanguageModel:
    """Return a model with these weights."""
    with without_weights():
        made = LanguageModel(config, weights=kept_as)
    made.load_state_dict({name: w.to(dtype) for name, w in state.items()}, assign=True)
    return made.eval().requires_grad_(False)


def stepwise(lm: LanguageModel, cache: PagedCache, embedded: Tensor, *, step: int) -> Tensor:
    """Return the logits after every `step` positions of one sequence `(T, D)`."""
    lane = cache.lane()
    logits = [lm.extend([(lane, piece)])[0] for piece in torch.split(embedded, step)]
    lane.release()
    return torch.stack(logits)
