"""What the published code computes on a tiny random model; the README beside tells each array.

Shape suffixes: S samples, M mel bands, T mel frames, N chunks, F frames of a chunk, D width,
V the ids of `used_ids`.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundflow.audio import CHUNK_SAMPLES, Chunk

FOLDER = Path(__file__).parent

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]


def encoder_fields() -> dict[str, Any]:
    """Return the audio tower's fields, under their published names."""
    return dict(_config()["encoder"])


def decoder_fields() -> dict[str, Any]:
    """Return the decoder's fields, as `model_config.yaml` has them."""
    return dict(_config()["decoder"])


def pcm() -> Floats:
    """Return the clip `(S,)` in [-1, 1], padded with zeros to whole chunks."""
    samples = _array("pcm").astype(np.float32) / 32768
    return np.pad(samples, (0, -len(samples) % CHUNK_SAMPLES))


def chunks(session_id: str = "golden") -> list[Chunk]:
    """Return the clip as a session would send it."""
    pieces = pcm().reshape(-1, CHUNK_SAMPLES)
    return [Chunk(session_id, index, piece) for index, piece in enumerate(pieces)]


def mel() -> Floats:
    """Return the whole clip's log-mel `(M, T)`."""
    return _array("mel")


def features_whole() -> Floats:
    """Return each chunk's features `(N, F, D)` where the clip was given whole."""
    return _array("features_whole")


def features_prefix() -> Floats:
    """Return each chunk's features `(N, F, D)` where nothing after it had arrived."""
    return _array("features_prefix")


def encoder_weights() -> dict[str, Floats]:
    """Return the audio tower's weights by their published names."""
    return _under("encoder/")


def decoder_weights() -> dict[str, Floats]:
    """Return the decoder's weights by their published names; 80 MB, so ask once a module."""
    fields = decoder_fields()
    weights = _under("lm/")
    for name, rows in (("transformer.wte.weight", "wte_rows"), ("lm_head.weight", "head_rows")):
        table = np.zeros((fields["padded_vocab_size"], fields["n_embd"]), np.float32)
        table[used_ids()] = _array(rows)
        weights[name] = table
    return weights


def used_ids() -> Ids:
    """Return the ids `(V,)` whose rows of the two embedding tables are not zero."""
    return _array("used_ids")


def prefix_ids() -> list[int]:
    """Return the online prefix: what stands before the first chunk."""
    return [int(token) for token in _array("prefix_ids")]


def turns() -> list[list[int]]:
    """Return the tokens of every turn, one turn a chunk; a silent chunk's is one token.

    What was heard: `tests.golden.published.conversation`.
    """
    ends = np.cumsum(_array("turn_lengths"))
    return [[int(token) for token in turn] for turn in np.split(_array("tokens"), ends[:-1])]


def step_logits() -> list[Floats]:
    """Return, turn by turn, the logits `(n, V)` before each of the turn's n tokens."""
    ends = np.cumsum(_array("turn_lengths"))
    return list(np.split(_array("step_logits"), ends[:-1]))


@cache
def _config() -> Mapping[str, Any]:
    fields: Mapping[str, Any] = json.loads((FOLDER / "config.json").read_text())
    return fields


@cache
def _arrays() -> Mapping[str, NDArray[Any]]:
    with np.load(FOLDER / "golden.npz") as saved:
        return dict(saved)


def _array(name: str) -> NDArray[Any]:
    """Return a copy, so that no test sees what another did to it."""
    return _arrays()[name].copy()


def _under(prefix: str) -> dict[str, Floats]:
    names = [name for name in _arrays() if name.startswith(prefix)]
    return {name.removeprefix(prefix): _array(name) for name in names}
