import random
from collections import Counter

import numpy as np
import pytest
import torch

from soundflow.unified.config import DecoderConfig
from soundflow.unified.kv_pool import room
from soundflow.unified.pages import CacheFull, Lane, PagedCache

CONFIG = DecoderConfig(
    layers=1, width=8, heads=2, kv_heads=1, head_width=4, ffn=8, vocabulary=16, max_positions=200
)


def extend(cache: PagedCache, *wanted: tuple[Lane, int]) -> None:
    with cache.extending([lane for lane, _ in wanted], [count for _, count in wanted]):
        pass


@pytest.mark.parametrize("page_positions", [1, 3, 16])
@pytest.mark.parametrize("seed", range(5))
def test_every_page_is_free_or_has_one_holder_whatever_happens(
    page_positions: int, seed: int
) -> None:
    chance = random.Random(seed)
    cache = PagedCache(CONFIG, pages=120 // page_positions, page_positions=page_positions)
    lanes = [cache.lane() for _ in range(8)]
    lengths = [0] * 8
    refused = 0
    for _ in range(600):
        who = chance.randrange(8)
        match chance.choice(["extend", "extend", "extend", "truncate", "release", "fail"]):
            case "truncate":
                lengths[who] = chance.randint(0, lengths[who])
                lanes[who].truncate(lengths[who])
            case "release":
                lanes[who].release()
                lanes[who], lengths[who] = cache.lane(), 0
            case "fail":
                with pytest.raises((RuntimeError, CacheFull)):  # noqa: SIM117, PT012
                    with cache.extending([lanes[who]], [5]):
                        raise RuntimeError
            case "extend":
                chosen = chance.sample(range(8), chance.randint(1, 4))
                counts = [chance.randint(1, 12) for _ in chosen]
                try:
                    extend(cache, *((lanes[i], n) for i, n in zip(chosen, counts, strict=True)))
                    for i, count in zip(chosen, counts, strict=True):
                        lengths[i] += count
                except CacheFull:
                    refused += 1
        assert [lane.length for lane in lanes] == lengths
        check_pages(cache, lanes)
    assert refused, "the pool never ran out: the test is too easy"
    for lane in lanes:
        lane.release()
    assert cache.free_pages == cache.pages


def check_pages(cache: PagedCache, lanes: list[Lane]) -> None:
    held = Counter(page for lane in lanes for page in lane.pages.tolist())
    assert all(holders == 1 for holders in held.values())
    assert all(0 <= page < cache.pages for page in held)
    assert cache.free_pages == cache.pages - len(held)
    for lane in lanes:
        assert len(lane.pages) == -(-lane.length // cache.page_positions)


def test_a_full_cache_refuses_before_anything_has_changed() -> None:
    cache = PagedCache(CONFIG, pages=4, page_positions=4)
    small, large = cache.lane(), cache.lane()
    extend(cache, (small, 2), (large, 7))
    before = small.pages.tolist(), large.pages.tolist(), cache.free_pages
    with pytest.raises(CacheFull, match="3 pages wanted, 1 of 4 free"):
        extend(cache, (small, 3), (large, 9))
    assert (small.pages.tolist(), large.pages.tolist(), cache.free_pages) == before
    assert (small.length, large.length) == (2, 7)
    extend(cache, (small, 2), (large, 1))  # what fits in the pages they hold needs no other
    assert cache.free_pages == 1


def test_wrong_batches_are_refused_before_anything_has_changed() -> None:
    cache = PagedCache(CONFIG, pages=60, page_positions=4)
    lane, released = cache.lane(), cache.lane()
    released.release()
    stranger = PagedCache(CONFIG, pages=1).lane()
    for batch in (
        [(lane, 1), (lane, 1)],
        [(lane, 0)],
        [(lane, 201)],
        [(lane, 1), (released, 1)],
        [(lane, 1), (stranger, 1)],
    ):
        with pytest.raises(ValueError, match="lane|positions"):
            extend(cache, *batch)
        assert (lane.length, cache.free_pages) == (0, 60)


@pytest.mark.parametrize("length", [-1, 4])
def test_a_lane_is_cut_to_a_length_that_it_has(length: int) -> None:
    lane = PagedCache(CONFIG, pages=2).lane()
    extend(lane.cache, (lane, 3))
    with pytest.raises(ValueError, match="3 positions cannot be cut"):
        lane.truncate(length)
    assert lane.length == 3


def test_positions_lie_where_the_pages_say() -> None:
    cache = PagedCache(CONFIG, pages=12, page_positions=4)
    first, second = cache.lane(), cache.lane()
    extend(cache, (first, 3))
    extend(cache, (second, 6))
    with cache.extending([second, first], [5, 2]) as extension:
        assert extension.positions_N.tolist() == [6, 7, 8, 9, 10, 3, 4]
        wanted = [second.pages[p // 4] * 4 + p % 4 for p in range(6, 11)]
        wanted += [first.pages[p // 4] * 4 + p % 4 for p in range(3, 5)]
        assert extension.slots_N.tolist() == wanted
        slots = cache.slots(extension, np.array([1, 0]))
    of_first = [first.pages[p // 4] * 4 + p % 4 for p in range(5)]
    of_second = [second.pages[p // 4] * 4 + p % 4 for p in range(11)]
    assert slots.tolist() == [of_first + [cache.empty_slot] * 6, of_second]


def test_no_lane_is_ever_given_the_slots_that_padding_reads() -> None:
    cache = PagedCache(CONFIG, pages=3, page_positions=4)
    lane = cache.lane()
    with cache.extending([lane], [12]) as extension:
        assert sorted(extension.slots_N.tolist()) == list(range(12))
        key = torch.full((12, 1, 4), torch.nan)
        cache.pool.write(0, extension.slots_N, key, key)
    gathered = room(CONFIG, 1, torch.float32, cache.device)
    cache.pool.read(0, torch.tensor([cache.empty_slot]), gathered)
    assert [part.tolist() for part in gathered] == [[[[0.0] * 4]]] * 2
