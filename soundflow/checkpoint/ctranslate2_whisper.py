"""Whisper's encoder out of CTranslate2's `model.bin`, by the names that our towers have."""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from soundflow.checkpoint.errors import ModelDamaged

FILE = "model.bin"
VERSION = 6
# CTranslate2's numbers for the types of variables.
DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}

Arrays = dict[str, NDArray[np.float32]]


def read_encoder(folder: Path) -> Arrays:
    """Return the encoder's weights in float32. ModelDamaged."""
    file = folder / FILE
    try:
        given = _read(file)
        return _renamed(given)
    except (OSError, struct.error, KeyError, ValueError, UnicodeDecodeError) as error:
        raise ModelDamaged(f"{file} is no Whisper of CTranslate2: {error!r}") from error


def _read(file: Path) -> Arrays:
    """Read the floats of a file: a header, then for each variable its name, shape, type, bytes."""
    with file.open("rb") as opened:

        def number(form: str) -> int:
            return int(struct.unpack(f"<{form}", opened.read(struct.calcsize(form)))[0])

        def text() -> str:
            return opened.read(number("H")).rstrip(b"\0").decode()

        version, _, _, count = number("I"), text(), number("I"), number("I")
        if version != VERSION:
            raise ValueError(f"its format is {version}; only {VERSION} is understood")
        found: Arrays = {}
        for _ in range(count):
            name = text()
            shape = [number("I") for _ in range(number("B"))]
            dtype, data = DTYPES[number("B")], opened.read(number("I"))
            if np.issubdtype(dtype, np.floating):
                found[name] = np.frombuffer(data, dtype).reshape(shape).astype(np.float32)
        return found


def _renamed(given: Arrays) -> Arrays:
    made: Arrays = {}

    def linear(to: str, source: str) -> None:
        made[f"{to}.weight"] = given[f"{source}/weight"]
        made[f"{to}.bias"] = given[f"{source}/bias"]

    def norm(to: str, source: str) -> None:
        made[f"{to}.weight"], made[f"{to}.bias"] = given[f"{source}/gamma"], given[f"{source}/beta"]

    linear("conv1", "encoder/conv1")
    linear("conv2", "encoder/conv2")
    norm("ln_post", "encoder/layer_norm")
    layer = 0
    while f"encoder/layer_{layer}/ffn/linear_0/weight" in given:
        source, to = f"encoder/layer_{layer}", f"layers.{layer}"
        stacked = f"{source}/self_attention/linear_0"
        weights = np.split(given[f"{stacked}/weight"], 3)
        biases = np.split(given[f"{stacked}/bias"], 3)
        for name, weight, bias in zip("qkv", weights, biases, strict=True):
            made[f"{to}.self_attn.{name}_proj.weight"] = weight
            if name != "k":  # Whisper's keys have none; zeros are stored
                made[f"{to}.self_attn.{name}_proj.bias"] = bias
        linear(f"{to}.self_attn.out_proj", f"{source}/self_attention/linear_1")
        norm(f"{to}.self_attn_layer_norm", f"{source}/self_attention/layer_norm")
        linear(f"{to}.fc1", f"{source}/ffn/linear_0")
        linear(f"{to}.fc2", f"{source}/ffn/linear_1")
        norm(f"{to}.final_layer_norm", f"{source}/ffn/layer_norm")
        layer += 1
    return made
