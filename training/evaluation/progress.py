"""A bar on the terminal while a task goes on."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from tqdm import tqdm

ItemT = TypeVar("ItemT")


def shown(name: str, items: Sequence[ItemT]) -> Iterable[ItemT]:
    """Yield the items under a bar."""
    bar: Iterable[ItemT] = tqdm(items, desc=name, unit="", dynamic_ncols=True)
    return bar
