"""Tensors in files: what the files say that they hold, and one tensor after the other.

Files are mapped, not read: a tensor costs memory once it is used, and until it is let go.
"""

import math
import pickle
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from soundflow.checkpoint.errors import ModelDamaged, ModelMissing
from soundflow.checkpoint.fields import read_json

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor as its file describes it. dtype: torch's name, or the file's where it has none."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype | str

    def __str__(self) -> str:
        return f"{self.file}: tensor {self.name}"

    @property
    def size_bytes(self) -> int:
        """What it takes in memory; 0 where the type is not understood."""
        itemsize = self.dtype.itemsize if isinstance(self.dtype, torch.dtype) else 0
        return math.prod(self.shape) * itemsize


@dataclass(frozen=True, slots=True)
class Weights:
    """The tensors of one or several files, by their names. where: the file that lists them."""

    where: Path
    stored: Mapping[str, Stored]

    def under(self, *prefixes: str) -> "Weights":
        """Return those whose names begin with one of the prefixes."""
        chosen = {n: one for n, one in self.stored.items() if n.startswith(prefixes)}
        return Weights(self.where, chosen)


def safetensors_of(folder: Path) -> Weights:
    """Return what a folder's safetensors hold, one file or several with an index.

    ModelMissing, ModelDamaged.
    """
    index = folder / INDEX
    if not index.exists():
        if not (folder / SINGLE).exists():
            raise ModelMissing(f"{index} is missing, and so is {SINGLE}")
        return Weights(folder / SINGLE, _joined(_described(folder / SINGLE)))
    listed = read_json(index).section("weight_map").values
    files = {name: folder / str(file) for name, file in listed.items()}
    stored = _joined(one for file in sorted(set(files.values())) for one in _described(file))
    for name, file in files.items():
        if name not in stored or stored[name].file != file:
            raise ModelDamaged(f"{file}: tensor {name} is missing, which {INDEX} says it holds")
    return Weights(index, stored)


def pickle_of(file: Path) -> Weights:
    """Return what a file that `torch.save` wrote holds. ModelMissing, ModelDamaged."""
    with opened(file) as reader:
        return Weights(file, _joined(reader.described()))


class Reader(Protocol):
    """An open file. What `read` returns may be a view of it; it stays good after `close`."""

    def described(self) -> Iterable[Stored]:
        """Tell what the file holds, in its order."""
        ...

    def read(self, name: str) -> Tensor:
        """Return one tensor."""
        ...

    def __enter__(self) -> "Reader": ...

    def __exit__(self, *error: object) -> None: ...


def opened(file: Path) -> Reader:
    """Open a file of tensors. ModelMissing, ModelDamaged."""
    if not file.is_file():
        raise ModelMissing(f"{file} is missing")
    return _Safetensors(file) if file.suffix == ".safetensors" else _Pickle(file)


class _Safetensors:
    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._open: Any = safe_open(file, framework="pt")
        except (SafetensorError, OSError) as error:
            raise ModelDamaged(f"{file} cannot be read: {error}") from error

    def described(self) -> Iterator[Stored]:
        for name in self._open.keys():  # noqa: SIM118  # it is no mapping
            entry = self._open.get_slice(name)
            kind = entry.get_dtype()
            yield Stored(self._file, name, tuple(entry.get_shape()), _DTYPES.get(kind, kind))

    def read(self, name: str) -> Tensor:
        tensor: Tensor = self._open.get_tensor(name)
        return tensor

    def __enter__(self) -> "_Safetensors":
        return self

    def __exit__(self, *error: object) -> None:
        del self._open


class _Pickle:
    """Reads numbers only: a file that would run code when it is read is refused."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            # Only today's format can be mapped; before 2020 there was another one.
            mmap = zipfile.is_zipfile(file)
            loaded = torch.load(file, map_location="cpu", weights_only=True, mmap=mmap)
        except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError) as error:
            raise ModelDamaged(f"{file} cannot be read: {error}") from error
        if not isinstance(loaded, dict):
            raise ModelDamaged(f"{file} holds no tensors by name, but {type(loaded).__name__}")
        for name, tensor in loaded.items():
            if not isinstance(tensor, Tensor):
                raise ModelDamaged(f"{file}: {name} is no tensor, but {type(tensor).__name__}")
        self._tensors: dict[str, Tensor] = loaded

    def described(self) -> Iterator[Stored]:
        for name, tensor in self._tensors.items():
            kind = tensor.dtype if tensor.dtype in _DTYPES.values() else str(tensor.dtype)
            yield Stored(self._file, name, tuple(tensor.shape), kind)

    def read(self, name: str) -> Tensor:
        return self._tensors[name].detach()

    def __enter__(self) -> "_Pickle":
        return self

    def __exit__(self, *error: object) -> None:
        self._tensors = {}


def _described(file: Path) -> list[Stored]:
    with opened(file) as reader:
        return list(reader.described())


def _joined(described: Iterable[Stored]) -> dict[str, Stored]:
    stored: dict[str, Stored] = {}
    for one in described:
        other = stored.setdefault(one.name, one)
        if other is not one:
            raise ModelDamaged(f"{one} is in {other.file} too")
    return stored
