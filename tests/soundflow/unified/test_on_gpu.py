"""What only a GPU can show: its kernels give what the processor gives, and see no page's past."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from soundflow.unified.attention import Attention, PaddedAttention
from soundflow.unified.flashinfer_attention import FlashInferAttention
from soundflow.unified.kv_pool import FP8
from soundflow.unified.pages import PagedCache
from soundflow.unified.transformer import LanguageModel
from tests.soundflow.unified import tiny

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"),
]

# FlashInfer's heads are at least 64 wide.
CONFIG = replace(tiny.CONFIG, head_width=64)
GPU = torch.device("cuda")


WITH_FLASHINFER = pytest.mark.skipif(
    importlib.util.find_spec("flashinfer") is None, reason="FlashInfer is not installed"
)


def made(attention: Attention, dtype: torch.dtype) -> LanguageModel:
    lm = LanguageModel(CONFIG, attention=attention)
    lm.load_state_dict(tiny.weights(config=CONFIG))
    return lm.to(GPU, dtype).requires_grad_(False)


@pytest.mark.parametrize("kept", [torch.bfloat16, FP8])
@pytest.mark.parametrize(
    "make", [PaddedAttention, pytest.param(lambda: FlashInferAttention(GPU), marks=WITH_FLASHINFER)]
)
def test_marked_pages_reach_nobody_and_logits_are_the_processors(
    make: Callable[[], Attention], kept: torch.dtype
) -> None:
    lm = made(make(), torch.bfloat16)
    cache = PagedCache(CONFIG, pages=60, dtype=kept, device=GPU)
    every = torch.arange(cache.pages * cache.page_positions, device=GPU)
    marked = torch.full((len(every), CONFIG.kv_heads, CONFIG.head_width), torch.nan, device=GPU)
    for layer in range(CONFIG.layers):
        cache.pool.write(layer, every, marked, marked)
    lanes = [cache.lane() for _ in range(3)]
    sequences = torch.randn(3, 60, CONFIG.width)
    for begin, end in ((0, 40), (40, 53), (53, 54), (54, 60)):
        logits = lm.extend(
            [(lane, one[begin:end]) for lane, one in zip(lanes, sequences, strict=True)]
        )
    expected = tiny.model(tiny.weights(config=CONFIG), CONFIG)(sequences)[:, -1]
    off = (logits.cpu() - expected).square().mean().sqrt() / expected.square().mean().sqrt()
    assert off < (0.02 if kept is torch.bfloat16 else 0.1)  # as in test_precision
