"""What FlashInfer is told, by a stand-in that does with it what its documentation says."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from soundflow.unified.attention import PaddedAttention
from soundflow.unified.flashinfer_attention import FlashInferAttention, attention_for
from soundflow.unified.kv_pool import FP8
from soundflow.unified.pages import PagedCache
from soundflow.unified.transformer import LanguageModel
from tests.soundflow.unified import tiny

CPU = torch.device("cpu")
plans: list[dict[str, Any]] = []


class StandIn:
    def __init__(self, workspace: Tensor, layout: str) -> None:
        assert (workspace.dtype, layout) == (torch.uint8, "NHD")

    def plan(
        self,
        queries: Tensor,
        pages: Tensor,
        page_ids: Tensor,
        last: Tensor,
        heads: int,
        kv_heads: int,
        head_width: int,
        page_positions: int,
        *,
        causal: bool,
        q_data_type: torch.dtype,
        kv_data_type: torch.dtype,
    ) -> None:
        assert causal
        assert {t.dtype for t in (queries, pages, page_ids, last)} == {torch.int32}
        assert q_data_type == kv_data_type
        plans.append(dict(heads=heads, kv_heads=kv_heads, head_width=head_width))
        self._where = queries.tolist(), pages.tolist(), page_ids.tolist(), last.tolist()
        self._page_positions = page_positions

    def run(self, query: Tensor, kept: tuple[Tensor, Tensor]) -> Tensor:
        queries, pages, page_ids, last = self._where
        parts = []
        for lane, tail in enumerate(last):
            mine = page_ids[pages[lane] : pages[lane + 1]]
            length = (len(mine) - 1) * self._page_positions + tail
            key, value = (part[mine].flatten(0, 1)[:length].transpose(0, 1) for part in kept)
            new = query[queries[lane] : queries[lane + 1]].transpose(0, 1)
            seen = torch.ones(new.shape[1], length, dtype=torch.bool).tril(length - new.shape[1])
            attended = torch.nn.functional.scaled_dot_product_attention(
                new, key, value, attn_mask=seen, enable_gqa=True
            )
            parts.append(attended.transpose(0, 1))
        return torch.cat(parts)


@pytest.fixture
def flashinfer(monkeypatch: pytest.MonkeyPatch) -> Iterator[FlashInferAttention]:
    library = SimpleNamespace(BatchPrefillWithPagedKVCacheWrapper=StandIn)
    monkeypatch.setitem(sys.modules, "flashinfer", library)
    plans.clear()
    with tiny.threads(1):
        yield FlashInferAttention(CPU)


@pytest.mark.parametrize("page_positions", [1, 7, 16])
def test_it_gives_what_the_padded_way_gives(
    flashinfer: FlashInferAttention, page_positions: int
) -> None:
    ways = []
    for attention in (flashinfer, PaddedAttention()):
        lm = LanguageModel(tiny.CONFIG, attention=attention)
        lm.load_state_dict(tiny.weights())
        lm.to(torch.bfloat16)
        cache = PagedCache(tiny.CONFIG, 400 // page_positions, page_positions, dtype=torch.bfloat16)
        lanes = [cache.lane() for _ in range(3)]
        chance = torch.Generator().manual_seed(1)
        logits = []
        for counts in ((32, 13, 1), (13, 1, 26), (1, 1, 1), (40, 5, 16)):
            pieces = [torch.randn(n, tiny.CONFIG.width, generator=chance) for n in counts]
            logits.append(lm.extend(list(zip(lanes, pieces, strict=True))))
        ways.append(torch.stack(logits))
    assert plans == [dict(heads=6, kv_heads=2, head_width=8)] * 4
    # Two ways to add up in bfloat16, each off by what test_precision allows.
    apart = (ways[0] - ways[1]).square().mean().sqrt() / ways[1].square().mean().sqrt()
    assert apart < 0.02


@pytest.mark.parametrize("kept", [torch.float32, FP8])
def test_what_the_kernels_do_not_know_goes_the_padded_way(
    flashinfer: FlashInferAttention, kept: torch.dtype
) -> None:
    lm = LanguageModel(tiny.CONFIG, attention=flashinfer)
    lm.load_state_dict(tiny.weights())
    cache = PagedCache(tiny.CONFIG, 20, dtype=kept)
    logits = lm.extend([(cache.lane(), torch.randn(13, tiny.CONFIG.width))])
    assert logits.isfinite().all()
    assert not plans


def test_the_padded_way_is_taken_where_there_is_no_gpu(flashinfer: FlashInferAttention) -> None:
    assert isinstance(attention_for(CPU), PaddedAttention)
