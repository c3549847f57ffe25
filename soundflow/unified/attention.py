"""Attention of many lanes over the paged cache, behind one interface.

Shape suffixes: N new positions of all lanes in a row, G lanes of a group, Q new positions and
T all positions of a lane, padded, H query heads, K key-value heads, E head width.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from soundflow.unified.kv_pool import KeysValues, room
from soundflow.unified.pages import Extension, Ints, PagedCache

# Padding is worth it as long as it costs less than another group would: in products of a query and
# a key, of which reading a key and a value is worth so many.
PADDING_SHARE = 0.25
GROUP_COST = 1 << 15
READ_COST = 4
# Above this a group's mask is large (4 bytes each), and larger batches gain nothing.
GROUP_SCORES = 1 << 22

FOLD_BELOW = 32  # from so many queries on folding costs its copies and gains nothing


class Plan(Protocol):
    """One batch's attention; made once, used in every layer, whose keys and values are written."""

    def attend(self, layer: int, query_NHE: Tensor) -> Tensor:
        """Return what each new position takes from its lane's positions up to itself."""
        ...


class Attention(Protocol):
    """A way to compute attention over a paged cache."""

    def plan(self, cache: PagedCache, extension: Extension, dtype: torch.dtype) -> Plan:
        """Prepare one batch; dtype is that of the queries."""
        ...


class PaddedAttention:
    """Gather each lane's keys and values, lanes of similar length in one padded batch, then SDPA.

    Lanes never share a row, so whatever one holds, NaN too, reaches no other.
    """

    def plan(self, cache: PagedCache, extension: Extension, dtype: torch.dtype) -> "PaddedPlan":
        """Find the groups, and what to gather for them."""
        groups: list[Group] = []
        places_N = np.empty(extension.new_B.sum(), np.int64)
        made = 0
        for lanes_G in group_lanes(extension.old_B, extension.new_B):
            group, rows_N = _group(cache, extension, lanes_G, dtype)
            places_N[rows_N] = made + _filled(extension.new_B[lanes_G])
            made += group.rows_GQ.numel()
            groups.append(group)
        widest = max(group.slots_GT.numel() for group in groups)
        gathered = room(cache.config, widest, dtype, cache.device)
        places = torch.from_numpy(places_N).to(cache.device)
        return PaddedPlan(cache, tuple(groups), places, gathered)


@dataclass(frozen=True, slots=True)
class Group:
    """Lanes that are computed together.

    rows_GQ: the rows of the batch that are its queries; padding repeats a row that is there.
    mask_G1QT: added to the scores: 0, or minus infinity for what a query must not see; where
    `folds`, once for each head that shares a key.
    """

    rows_GQ: Tensor
    slots_GT: Tensor
    mask_G1QT: Tensor
    folds: bool


@dataclass(frozen=True, slots=True)
class PaddedPlan:
    """places_N: where the groups' results, one after the other, have each row's.

    room: where each group gathers keys and values, in every layer: new memory is slow at first.
    """

    cache: PagedCache
    groups: tuple[Group, ...]
    places_N: Tensor
    room: KeysValues

    def attend(self, layer: int, query_NHE: Tensor) -> Tensor:
        """Return what each new position takes from its lane's positions up to itself."""
        parts = [self._attend_group(group, layer, query_NHE) for group in self.groups]
        return torch.cat(parts).index_select(0, self.places_N)

    def _attend_group(self, group: Group, layer: int, query_NHE: Tensor) -> Tensor:
        G, Q = group.rows_GQ.shape
        query = query_NHE.index_select(0, group.rows_GQ.view(-1))
        key, value = (part[: group.slots_GT.numel()] for part in self.room)
        self.cache.pool.read(layer, group.slots_GT.view(-1), (key, value))
        attend = attend_folded if group.folds else attend_grouped
        attended_GQHE = attend(
            query.view(G, Q, *query.shape[1:]),
            key.view(G, -1, *key.shape[1:]),
            value.view(G, -1, *value.shape[1:]),
            group.mask_G1QT,
        )
        return attended_GQHE.reshape(query.shape)


def attend_grouped(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Attend with queries `(G, Q, H, E)` to keys and values `(G, T, K, E)`."""
    query, key, value = (part.transpose(1, 2) for part in (query, key, value))
    attended = functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, enable_gqa=True
    )
    return attended.transpose(1, 2)


def attend_folded(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Return the same as `attend_grouped`, taking heads that share a key for more queries.

    The kernels read keys and values once for each head and block of queries; with few queries that
    is most of what they do. mask: `(G, 1, H / K x Q, T)`, `Q` of each head after the other.
    """
    G, Q, H, E = query.shape
    K = key.shape[2]
    folded = query.view(G, Q, K, H // K, E).permute(0, 2, 3, 1, 4).reshape(G, K, -1, E)
    key, value = key.transpose(1, 2), value.transpose(1, 2)
    attended = functional.scaled_dot_product_attention(folded, key, value, attn_mask=mask)
    return attended.view(G, K, H // K, Q, E).permute(0, 3, 1, 2, 4).reshape(G, Q, H, E)


def group_lanes(old_B: Ints, new_B: Ints) -> Iterator[Ints]:
    """Divide lanes into groups of similar size, so that padding stays cheap; each comes once."""
    total_B = old_B + new_B
    group: list[int] = []
    needed = 0
    for lane in np.lexsort((total_B, new_B)):
        own = _cost(1, new_B[lane], total_B[lane])
        widest = max(total_B[lane], *total_B[group]) if group else total_B[lane]
        size = len(group) + 1
        padded = _cost(size, new_B[lane], widest)
        too_loose = padded > (1 + PADDING_SHARE) * (needed + own) + GROUP_COST
        if group and (too_loose or size * new_B[lane] * widest > GROUP_SCORES):
            yield np.array(group)
            group, needed = [], 0
        group.append(int(lane))
        needed += own
    if group:
        yield np.array(group)


def _cost(lanes: int, new: int, total: int) -> int:
    return lanes * total * (new + READ_COST)


def _group(
    cache: PagedCache, extension: Extension, lanes_G: Ints, dtype: torch.dtype
) -> tuple[Group, Ints]:
    """Return a group, and its rows of the batch without padding."""
    old_G, new_G = extension.old_B[lanes_G], extension.new_B[lanes_G]
    first_G = (np.cumsum(extension.new_B) - extension.new_B)[lanes_G]
    query = np.arange(new_G.max())
    filled_GQ = query < new_G[:, None]
    rows_GQ = first_G[:, None] + np.where(filled_GQ, query, 0)
    slots_GT = torch.from_numpy(cache.slots(extension, lanes_G)).to(cache.device)
    newest_GQ = torch.from_numpy(old_G[:, None] + query).to(cache.device)
    unseen_GQT = torch.arange(slots_GT.shape[1], device=cache.device) > newest_GQ[..., None]
    mask_GQT = torch.zeros(unseen_GQT.shape, dtype=dtype, device=cache.device)
    mask_GQT.masked_fill_(unseen_GQT, float("-inf"))
    # On a GPU the only fused kernel that takes a mask takes no heads that share a key.
    folds = len(query) < FOLD_BELOW or cache.device.type == "cuda"
    if folds:
        mask_GQT = mask_GQT.repeat(1, cache.config.heads // cache.config.kv_heads, 1)
    rows = torch.from_numpy(rows_GQ).to(cache.device)
    return Group(rows, slots_GT, mask_GQT[:, None], folds), rows_GQ[filled_GQ]


def _filled(new_G: Ints) -> Ints:
    """Return which of a group's results, in a row, are not padding."""
    filled: Ints = np.flatnonzero(np.arange(new_G.max()) < new_G[:, None])
    return filled
