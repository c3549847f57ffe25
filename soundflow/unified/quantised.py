"""Weight-only quantisation: matrices in 8 bits, one scale for each row, products in floats.

It halves the memory of bf16 weights. Speed is not its aim: a product first turns the matrix back,
and pays where memory is what is short.
"""

from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class WeightFormat(Enum):
    """What matrices are kept as; those of FLOAT in the type that they were loaded in."""

    FLOAT = "float"
    INT8 = "int8"  # rounded to 1/127 of the row's largest
    FP8 = "fp8"  # e4m3: 3 bits of mantissa, the row's largest at e4m3's largest

    @property
    def dtype(self) -> torch.dtype:
        """The stored type; FLOAT has none of its own."""
        return _DTYPES[self]


_DTYPES = {WeightFormat.INT8: torch.int8, WeightFormat.FP8: torch.float8_e4m3fn}
_LARGEST = {torch.int8: 127.0, torch.float8_e4m3fn: torch.finfo(torch.float8_e4m3fn).max}


def linear(inputs: int, outputs: int, *, weights: WeightFormat, bias: bool) -> nn.Module:
    """Return a linear layer whose matrix is kept in the given format."""
    if weights is WeightFormat.FLOAT:
        return nn.Linear(inputs, outputs, bias)
    return QuantisedLinear(inputs, outputs, weights.dtype, bias=bias)


class QuantisedLinear(nn.Module):
    """A linear layer for inference; loading a float matrix as its `weight` quantises it.

    `weight` is a buffer of the float matrix's name and shape, of bytes, so that it stays as it is
    where the model's type is changed. The scales are no part of the state.
    """

    weight: Tensor
    scale: Tensor

    def __init__(self, inputs: int, outputs: int, dtype: torch.dtype, *, bias: bool) -> None:
        super().__init__()
        self._stored = dtype
        self.register_buffer("weight", torch.zeros(outputs, inputs, dtype=torch.uint8))
        self.register_buffer("scale", torch.zeros(outputs), persistent=False)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, inputs: Tensor) -> Tensor:
        """Multiply in the inputs' type."""
        matrix = self.weight.view(self._stored).to(inputs.dtype)
        outputs = functional.linear(inputs, matrix) * self.scale.to(inputs.dtype)
        return outputs if self.bias is None else outputs + self.bias

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        name = f"{prefix}weight"
        given = state_dict.get(name)
        if given is None or given.shape != self.weight.shape:  # the base class says what is wrong
            super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
            return
        if not given.is_floating_point() or given.element_size() == 1:
            raise ValueError(
                f"{name} is quantised when it is loaded: give floats, not {given.dtype}"
            )
        weight, scale = quantise(given, self._stored)
        self.scale = scale.to(scale.device if self.scale.is_meta else self.scale.device)
        state_dict = {**state_dict, name: weight.view(torch.uint8)}
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def quantise(weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return a matrix in 8 bits, and the float32 scales that its rows are to be multiplied by."""
    scale = weight.float().abs().amax(dim=1) / _LARGEST[dtype]
    scaled = weight.float() / scale.clamp_min(torch.finfo(torch.float32).tiny)[:, None]
    scaled = scaled.clamp(-_LARGEST[dtype], _LARGEST[dtype])
    return (scaled.round() if dtype is torch.int8 else scaled).to(dtype), scale
