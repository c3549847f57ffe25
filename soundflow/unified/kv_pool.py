"""The memory behind the pages: keys and values of every layer, written and read by slot.

Shape suffixes: L layers, S slots, N positions, K key-value heads, E head width.
"""

from typing import Protocol

import torch
from torch import Tensor

from soundflow.unified.config import DecoderConfig

FP8 = torch.float8_e4m3fn
FP8_MAX = torch.finfo(FP8).max

KeysValues = tuple[Tensor, Tensor]  # `(N, K, E)` each


class KVPool(Protocol):
    """Where keys and values lie, whatever they are stored as."""

    @property
    def bytes_per_slot(self) -> int:
        """What one position costs, all layers together."""
        ...

    def write(self, layer: int, slots_N: Tensor, key_NKE: Tensor, value_NKE: Tensor) -> None:
        """Store positions in place."""
        ...

    def read(self, layer: int, slots_N: Tensor, into: KeysValues) -> None:
        """Copy positions out, in the type of what they are copied into."""
        ...


def room(
    config: DecoderConfig, positions: int, dtype: torch.dtype, device: torch.device
) -> KeysValues:
    """Return what so many positions can be read into, again and again."""
    shape_NKE = (positions, config.kv_heads, config.head_width)
    key_NKE, value_NKE = (torch.empty(shape_NKE, dtype=dtype, device=device) for _ in range(2))
    return key_NKE, value_NKE


def make_pool(
    config: DecoderConfig, slots: int, dtype: torch.dtype, device: torch.device
) -> KVPool:
    """Return a pool of zeros."""
    shape_LSKE = (config.layers, slots, config.kv_heads, config.head_width)
    if dtype is FP8:
        return Fp8Pool(shape_LSKE, device)
    return PlainPool(shape_LSKE, dtype, device)


class PlainPool:
    """Keys and values in the type that they are computed in, or another one of floats."""

    def __init__(
        self, shape_LSKE: tuple[int, ...], dtype: torch.dtype, device: torch.device
    ) -> None:
        self.key_LSKE = torch.zeros(shape_LSKE, dtype=dtype, device=device)
        self.value_LSKE = torch.zeros(shape_LSKE, dtype=dtype, device=device)

    @property
    def bytes_per_slot(self) -> int:
        """What one position costs, all layers together."""
        return 2 * self.key_LSKE[:, 0].numel() * self.key_LSKE.element_size()

    def write(self, layer: int, slots_N: Tensor, key_NKE: Tensor, value_NKE: Tensor) -> None:
        """Store positions in place."""
        self.key_LSKE[layer].index_copy_(0, slots_N, key_NKE.to(self.key_LSKE.dtype))
        self.value_LSKE[layer].index_copy_(0, slots_N, value_NKE.to(self.value_LSKE.dtype))

    def read(self, layer: int, slots_N: Tensor, into: KeysValues) -> None:
        """Copy positions out, in the type of what they are copied into."""
        for kept_LSKE, out_NKE in zip((self.key_LSKE, self.value_LSKE), into, strict=True):
            if out_NKE.dtype == kept_LSKE.dtype:
                torch.index_select(kept_LSKE[layer], 0, slots_N, out=out_NKE)
            else:
                out_NKE.copy_(kept_LSKE[layer].index_select(0, slots_N))


class Fp8Pool:
    """Keys and values as e4m3 floats, with one float32 scale for each position and head.

    The scale puts a head's largest number at the largest that e4m3 has, because the keys of Qwen2.5
    have biases far beyond it. A number is then off by at most 1/16 of itself, or 2^-10 scales
    where it is so small that e4m3 has no full precision for it.
    """

    def __init__(self, shape_LSKE: tuple[int, ...], device: torch.device) -> None:
        # Stored as bytes: copying by index is not there for fp8 on every device.
        self._bytes = torch.zeros((2, *shape_LSKE), dtype=torch.uint8, device=device)
        self._scales = torch.zeros((2, *shape_LSKE[:-1], 1), device=device)

    @property
    def bytes_per_slot(self) -> int:
        """What one position costs, all layers together."""
        return 2 * (self._bytes[0, :, 0].numel() + 4 * self._scales[0, :, 0].numel())

    def write(self, layer: int, slots_N: Tensor, key_NKE: Tensor, value_NKE: Tensor) -> None:
        """Store positions in place."""
        for part, numbers_NKE in enumerate((key_NKE, value_NKE)):
            scale_NK1 = numbers_NKE.float().abs().amax(-1, keepdim=True) / FP8_MAX
            scaled_NKE = numbers_NKE.float() / scale_NK1.clamp_min(torch.finfo().tiny)
            packed_NKE = scaled_NKE.clamp(-FP8_MAX, FP8_MAX).to(FP8).view(torch.uint8)
            self._bytes[part, layer].index_copy_(0, slots_N, packed_NKE)
            self._scales[part, layer].index_copy_(0, slots_N, scale_NK1)

    def read(self, layer: int, slots_N: Tensor, into: KeysValues) -> None:
        """Copy positions out, in the type of what they are copied into."""
        for part, out_NKE in enumerate(into):
            numbers_NKE = self._bytes[part, layer].index_select(0, slots_N).view(FP8)
            scale_NK1 = self._scales[part, layer].index_select(0, slots_N)
            torch.mul(numbers_NKE.to(out_NKE.dtype), scale_NK1.to(out_NKE.dtype), out=out_NKE)
