import random

import numpy as np
import pytest
import torch

from soundflow.unified.attention import (
    GROUP_COST,
    GROUP_SCORES,
    PADDING_SHARE,
    attend_folded,
    attend_grouped,
    group_lanes,
)


def groups_of(old: list[int], new: list[int]) -> list[list[int]]:
    return [group.tolist() for group in group_lanes(np.array(old), np.array(new))]


@pytest.mark.parametrize("seed", range(20))
def test_each_lane_is_in_one_group_and_padding_stays_cheap(seed: int) -> None:
    chance = random.Random(seed)
    number = chance.randint(1, 90)
    old = [chance.choice([0, 30, 500, 3000]) + chance.randrange(50) for _ in range(number)]
    new = [chance.choice([1, 13, 13, 260, 780]) for _ in range(number)]
    groups = groups_of(old, new)
    assert sorted(lane for group in groups for lane in group) == list(range(number))
    for group in groups:
        totals, counts = [old[i] + new[i] for i in group], [new[i] for i in group]
        scores = len(group) * max(totals) * max(counts)
        needed = sum(total * (count + 4) for total, count in zip(totals, counts, strict=True))
        padded = scores + 4 * len(group) * max(totals)
        assert padded <= (1 + PADDING_SHARE) * needed + GROUP_COST
        assert len(group) == 1 or scores <= GROUP_SCORES


def test_sessions_that_listen_alike_are_one_group() -> None:
    assert len(groups_of([800] * 64, [13] * 64)) == 1


def test_a_long_drain_is_not_padded_onto_those_who_speak() -> None:
    groups = groups_of([700, 700, 0, 710], [1, 1, 780, 1])
    assert sorted(groups) == [[0, 1, 3], [2]]


@pytest.mark.parametrize("heads", [(8, 2), (4, 4), (6, 1)])
def test_folding_heads_changes_nothing(heads: tuple[int, int]) -> None:
    chance = torch.Generator().manual_seed(1)
    query = torch.randn(3, 5, heads[0], 16, generator=chance)
    key, value = torch.randn(2, 3, 20, heads[1], 16, generator=chance)
    mask = torch.zeros(3, 1, 5, 20).masked_fill(
        torch.rand(3, 1, 5, 20, generator=chance) < 0.3, -torch.inf
    )
    folded = attend_folded(query, key, value, mask.repeat(1, 1, heads[0] // heads[1], 1))
    torch.testing.assert_close(folded, attend_grouped(query, key, value, mask))
