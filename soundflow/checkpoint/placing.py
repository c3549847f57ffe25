"""From tensors on disk to a module's state: what belongs where, whether it fits, and moving it.

A layout says of each stored tensor which rows of which of the module's tensors it holds. All is
compared before anything is read; then one tensor is made at a time, in the order of the files.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from soundflow.checkpoint.errors import CheckpointError, ModelDamaged
from soundflow.checkpoint.weights import Reader, Stored, Weights, opened

SHOWN_PROBLEMS = 5

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]


@dataclass(frozen=True, slots=True)
class Place:
    """Rows of one of the module's tensors, in the order in which a stored one has them.

    rows: None = all, as they are.
    """

    name: str
    rows: Sequence[int] | None = None

    def shape(self, whole: Shape) -> Shape:
        """Return the shape of what fits here. whole: that of the module's tensor."""
        return whole if self.rows is None else (len(self.rows), *whole[1:])


Layout = Mapping[str, tuple[Place, ...]]
Arrange = Callable[[Shapes], Layout]


@dataclass(frozen=True, slots=True)
class Part:
    """One module's weights on disk. arrange: says where they go, by the module's names."""

    weights: Weights
    arrange: Arrange

    def check(self, module: nn.Module) -> None:
        """Compare every name, shape and type with the module's. Raises ModelDamaged."""
        shapes = shapes_of(module)
        problems = list(self._problems(self.arrange(shapes), shapes))
        if problems:
            more = len(problems) - SHOWN_PROBLEMS
            shown = problems[:SHOWN_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])
            raise ModelDamaged("\n".join(shown))

    def load(
        self, module: nn.Module, dtype: torch.dtype | None = None, device: str = "cpu"
    ) -> None:
        """Fill the module. What it has in memory already keeps its type and device.

        dtype, device: of what is on the meta device; None = the type in which it is stored.
        """
        self.check(module)
        state = module.state_dict()
        for name, tensor in self.tensors(shapes_of(module)):
            owner, _, leaf = name.rpartition(".")
            meta = state[name].is_meta
            if meta:
                tensor = tensor.to(device, dtype or tensor.dtype, copy=True)
            module.get_submodule(owner).load_state_dict({leaf: tensor}, strict=False, assign=meta)

    def tensors(self, shapes: Shapes) -> Iterator[tuple[str, Tensor]]:
        """Yield each of the module's tensors; it may be a view of the file. Call `check` before."""
        sources: dict[str, list[tuple[Stored, Place]]] = {}
        for name, places in self.arrange(shapes).items():
            for place in places:
                sources.setdefault(place.name, []).append((self.weights.stored[name], place))
        in_file_order = sorted(sources, key=lambda name: sources[name][0][0].file)
        with _OneFile() as files:
            for name in in_file_order:
                yield name, _assembled(shapes[name], sources[name], files)

    def _problems(self, layout: Layout, shapes: Shapes) -> Iterator[str]:
        stored = self.weights.stored
        for name in layout:
            if name not in stored:
                yield f"{self.weights.where}: tensor {name} is missing"
        for name, one in stored.items():
            if name not in layout:
                yield f"{one} is unexpected"
            elif isinstance(one.dtype, str):
                yield f"{one} is of type {one.dtype}; float32, float16 or bfloat16 is expected"
            else:
                for place in layout[name]:
                    expected = place.shape(shapes[place.name])
                    if one.shape != expected:
                        yield f"{one} is {list(one.shape)}; {list(expected)} is expected"


def shapes_of(module: nn.Module) -> dict[str, Shape]:
    """Return the shapes of all that a module keeps in a checkpoint."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def prefixed(prefix: str) -> Arrange:
    """Arrange tensors that have the module's own names behind a prefix."""
    return lambda shapes: {prefix + name: (Place(name),) for name in shapes}


def _assembled(shape: Shape, sources: list[tuple[Stored, Place]], files: "_OneFile") -> Tensor:
    (first, place), *others = sources
    tensor = files.read(first)
    if place.rows is None:
        return tensor
    whole = torch.empty(shape, dtype=tensor.dtype)
    whole[torch.tensor(place.rows)] = tensor
    for stored, place in others:
        whole[torch.tensor(place.rows)] = files.read(stored).to(whole.dtype)
    return whole


class _OneFile:
    """Keeps the file open that was read last, and no other: each one that is open costs memory."""

    def __init__(self) -> None:
        self._closing = ExitStack()
        self._file: Path | None = None
        self._reader: Reader | None = None

    def read(self, stored: Stored) -> Tensor:
        if self._reader is None or self._file != stored.file:
            self._closing.close()
            self._reader = self._closing.enter_context(opened(stored.file))
            self._file = stored.file
        try:
            return self._reader.read(stored.name)
        except CheckpointError:
            raise
        except Exception as error:  # of whichever library reads it
            raise ModelDamaged(f"{stored} cannot be read: {error}") from error

    def __enter__(self) -> "_OneFile":
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()
