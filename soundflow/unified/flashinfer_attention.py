"""Attention by FlashInfer's paged kernels, where there is a GPU and the library is installed.

Its kernels themselves run on a GPU only, so the tests without one check no more than what they are
told, against a stand-in that does what FlashInfer's documentation says.
"""

import importlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from soundflow.unified.attention import Attention, PaddedAttention, Plan
from soundflow.unified.kv_pool import PlainPool
from soundflow.unified.pages import Extension, Ints, PagedCache

WORKSPACE_BYTES = 128 << 20
LAYOUT = "NHD"  # a page is (positions, heads, head width), as our pool has it
HALF = (torch.float16, torch.bfloat16)


@cache
def attention_for(device: torch.device) -> Attention:
    """Return the best way there is on a device."""
    if device.type == "cuda" and importlib.util.find_spec("flashinfer"):
        return FlashInferAttention(device)
    return PaddedAttention()


class FlashInferAttention:
    """Reads the pages where they lie: no gathering, no padding.

    The kernels load nothing behind a lane's last position, so that what a page held before reaches
    nobody. They are for half precision; what they do not know (float32, an fp8 cache with scales of
    its own) goes the padded way.
    """

    def __init__(self, device: torch.device) -> None:
        library = importlib.import_module("flashinfer")
        workspace = torch.empty(WORKSPACE_BYTES, dtype=torch.uint8, device=device)
        self._kernels = library.BatchPrefillWithPagedKVCacheWrapper(workspace, LAYOUT)
        self._padded = PaddedAttention()

    def plan(self, cache: PagedCache, extension: Extension, dtype: torch.dtype) -> Plan:
        """Tell the kernels where each lane's pages are."""
        pool, config = cache.pool, cache.config
        if not isinstance(pool, PlainPool) or dtype not in HALF or pool.key_LSKE.dtype != dtype:
            return self._padded.plan(cache, extension, dtype)
        total_B = extension.old_B + extension.new_B
        self._kernels.plan(
            _on(cache, np.cumsum([0, *extension.new_B])),
            _on(cache, np.cumsum([0, *extension.pages_B])),
            _on(cache, extension.pages_P),
            _on(cache, (total_B - 1) % cache.page_positions + 1),
            config.heads,
            config.kv_heads,
            config.head_width,
            cache.page_positions,
            causal=True,
            q_data_type=dtype,
            kv_data_type=dtype,
        )
        return FlashInferPlan(self._kernels, pool, cache.page_positions)


@dataclass(frozen=True, slots=True)
class FlashInferPlan:
    """One batch's attention, whose pages the kernels have been told."""

    kernels: Any  # flashinfer has no types
    pool: PlainPool
    page_positions: int

    def attend(self, layer: int, query_NHE: Tensor) -> Tensor:
        """Return what each new position takes from its lane's positions up to itself."""
        key, value = (
            part[layer].view(-1, self.page_positions, *part.shape[2:])
            for part in (self.pool.key_LSKE, self.pool.value_LSKE)
        )
        attended_NHE: Tensor = self.kernels.run(query_NHE.contiguous(), (key, value))
        return attended_NHE


def _on(cache: PagedCache, numbers: Ints) -> Tensor:
    return torch.from_numpy(numbers.astype(np.int32)).to(cache.device)
