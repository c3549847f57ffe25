"""The features of several chunks in one message: each tensor once, with a row for every chunk."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from soundflow.features import Tensor

# Beside a tensor whose rows differ in length: how long each is. The rows are filled up with zeros.
LENGTH = "_length"

Signature = tuple[tuple[str, str, tuple[int, ...]], ...]


def signature(tensors: Mapping[str, Tensor]) -> Signature:
    """Return what tensors must have in common to be rows of one message."""
    return tuple((name, row.dtype.str, row.shape[1:]) for name, row in tensors.items())


def stacked(rows: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Join rows of one signature."""
    joined: dict[str, Tensor] = {}
    for name in rows[0] if rows else ():
        column = [np.asarray(row[name]) for row in rows]
        lengths = [len(row) for row in column]
        if len(set(lengths)) == 1:
            joined[name] = np.stack(column)
        else:
            joined[name] = _filled(column, max(lengths))
            joined[name + LENGTH] = np.array(lengths, np.int32)[:, None]
    return joined


def unstacked(joined: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Part them again. ValueError when they do not have the same number of rows."""
    lengths = {name: joined[name + LENGTH] for name in joined if name + LENGTH in joined}
    names = [name for name in joined if name.removesuffix(LENGTH) not in lengths or name in lengths]
    for row in range(_rows(joined)):
        yield {
            name: joined[name][row, : lengths[name][row, 0]]
            if name in lengths
            else joined[name][row]
            for name in names
        }


def _rows(joined: Mapping[str, Tensor]) -> int:
    rows = {len(tensor) for tensor in joined.values()}
    if len(rows) > 1:
        raise ValueError(f"tensors of one message have different numbers of rows: {sorted(rows)}")
    return rows.pop() if rows else 0


def _filled(column: Sequence[NDArray[np.generic]], length: int) -> Tensor:
    filled = np.zeros((len(column), length, *column[0].shape[1:]), column[0].dtype)
    for place, row in zip(filled, column, strict=True):
        place[: len(row)] = row
    return filled
