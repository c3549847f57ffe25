"""One paged KV cache for all sessions: who holds which pages, and where positions lie in the pool.

A slot is one position's place in the pool. Shape suffixes: N new positions of all lanes in a row,
B lanes, P pages of all lanes in a row, T positions of a lane.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from soundflow.unified.config import DecoderConfig
from soundflow.unified.kv_pool import make_pool

Ints = NDArray[np.int64]


class CacheFull(Exception):
    """The pages left are too few. Nothing was changed."""


class Lane:
    """One sequence's positions in the cache. It holds no tensors: only which pages are its own.

    length: the positions that are filled; the next one has that number.
    """

    __slots__ = ("cache", "length", "pages", "released")

    def __init__(self, cache: "PagedCache") -> None:
        self.cache = cache
        self.length = 0
        self.pages: Ints = np.empty(0, np.int64)
        self.released = False

    def truncate(self, length: int) -> None:
        """Forget all positions from `length` on; pages that are left without one become free."""
        if not 0 <= length <= self.length:
            raise ValueError(f"a lane of {self.length} positions cannot be cut to {length}")
        self.length = length
        self.cache.trim(self)

    def release(self) -> None:
        """Give everything back; the lane is over. Once more changes nothing."""
        self.truncate(0)
        self.released = True


@dataclass(frozen=True, slots=True)
class Extension:
    """What a batch adds to the cache: for each lane how many positions are there and are new.

    pages_P: the pages of the first lane, then of the second...; pages_B of each.
    slots_N, positions_N: where each new position is written, and its number in its lane.
    """

    old_B: Ints
    new_B: Ints
    pages_B: Ints
    pages_P: Ints
    slots_N: torch.Tensor
    positions_N: torch.Tensor


class PagedCache:
    """A pool of pages that any number of lanes share; each page holds `page_positions` positions.

    dtype: of what is kept; `torch.float8_e4m3fn` halves it against bf16 (see `kv_pool`).
    """

    def __init__(
        self,
        config: DecoderConfig,
        pages: int,
        page_positions: int = 16,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        if pages < 1 or page_positions < 1:
            raise ValueError(f"a cache needs pages, got {pages=} of {page_positions=}")
        self.config = config
        self.pages = pages
        self.page_positions = page_positions
        self.device = torch.device(device)
        # One page more than lanes can have: its slots stay zero, and padding points there.
        self.pool = make_pool(config, (pages + 1) * page_positions, dtype, self.device)
        self.empty_slot = pages * page_positions
        self._free = list(range(pages - 1, -1, -1))

    @property
    def free_pages(self) -> int:
        """How many pages no lane holds."""
        return len(self._free)

    def pages_for(self, length: int) -> int:
        """How many pages a lane of so many positions holds."""
        return -(-length // self.page_positions)

    def lane(self) -> Lane:
        """Begin a sequence; it holds no page until it has a position."""
        return Lane(self)

    def trim(self, lane: Lane) -> None:
        """Take back the pages of a lane that none of its positions needs."""
        keep = self.pages_for(lane.length)
        self._free.extend(lane.pages[keep:].tolist())
        lane.pages = lane.pages[:keep]

    @contextmanager
    def extending(self, lanes: Sequence[Lane], counts: Sequence[int]) -> Iterator[Extension]:
        """Give each lane room for so many more positions; they count once the block has ended well.

        CacheFull or ValueError before anything has changed; a block that fails changes nothing.
        """
        self._check(lanes, counts)
        self._reserve(lanes, counts)
        try:
            yield self._extension(lanes, counts)
        except BaseException:
            for lane in lanes:
                self.trim(lane)
            raise
        for lane, count in zip(lanes, counts, strict=True):
            lane.length += count

    def slots(self, extension: Extension, lanes_B: Ints) -> Ints:
        """Return where all positions of some lanes lie `(B, T)`, the shorter ones padded."""
        counts_B = extension.pages_B[lanes_B]
        first_B = (np.cumsum(extension.pages_B) - extension.pages_B)[lanes_B]
        page = np.arange(counts_B.max())
        within = np.minimum(first_B[:, None] + page, len(extension.pages_P) - 1)
        slots = extension.pages_P[within][..., None] * self.page_positions
        slots_BT = (slots + np.arange(self.page_positions)).reshape(len(lanes_B), -1)
        total_B = (extension.old_B + extension.new_B)[lanes_B]
        slots_BT = slots_BT[:, : total_B.max()]
        filled_BT = np.arange(slots_BT.shape[1]) < total_B[:, None]
        padded_BT: Ints = np.where(filled_BT, slots_BT, self.empty_slot)
        return padded_BT

    def _check(self, lanes: Sequence[Lane], counts: Sequence[int]) -> None:
        if len({id(lane) for lane in lanes}) != len(lanes):
            raise ValueError("a lane comes twice in one batch")
        for lane, count in zip(lanes, counts, strict=True):
            if lane.released or lane.cache is not self:
                raise ValueError("a lane was released, or belongs to another cache")
            if count < 1:
                raise ValueError(f"a lane is extended by at least one position, got {count}")
            if lane.length + count > self.config.max_positions:
                raise ValueError(
                    f"{lane.length} + {count} positions are more than the "
                    f"{self.config.max_positions} that the model has"
                )

    def _reserve(self, lanes: Sequence[Lane], counts: Sequence[int]) -> None:
        missing = [
            self.pages_for(lane.length + count) - len(lane.pages)
            for lane, count in zip(lanes, counts, strict=True)
        ]
        if sum(missing) > len(self._free):
            raise CacheFull(f"{sum(missing)} pages wanted, {len(self._free)} of {self.pages} free")
        for lane, wanted in zip(lanes, missing, strict=True):
            if wanted:
                taken = [self._free.pop() for _ in range(wanted)]
                lane.pages = np.concatenate([lane.pages, np.array(taken, np.int64)])

    def _extension(self, lanes: Sequence[Lane], counts: Sequence[int]) -> Extension:
        old_B = np.array([lane.length for lane in lanes], np.int64)
        new_B = np.array(counts, np.int64)
        pages_B = np.array([len(lane.pages) for lane in lanes], np.int64)
        pages_P = np.concatenate([lane.pages for lane in lanes])
        positions_N = np.arange(new_B.sum()) + np.repeat(old_B - np.cumsum(new_B) + new_B, new_B)
        page_N, within_N = np.divmod(positions_N, self.page_positions)
        page_N = pages_P[np.repeat(np.cumsum(pages_B) - pages_B, new_B) + page_N]
        slots_N = torch.from_numpy(page_N * self.page_positions + within_N).to(self.device)
        return Extension(
            old_B, new_B, pages_B, pages_P, slots_N, torch.from_numpy(positions_N).to(self.device)
        )
