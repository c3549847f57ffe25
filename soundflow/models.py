"""The models that can listen: by name, out of the table at the end, or a folder of weights."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundflow.checkpoint import SHIPPED, open_checkpoint
from soundflow.decoder import Decoder
from soundflow.encoder import Encoder
from soundflow.features import TensorSpec
from soundflow.unified.runtime import Runtime

if TYPE_CHECKING:
    from soundflow.cascade.chat import ChatConfig

DEFAULT_MODEL = "cascade"


@dataclass(frozen=True, slots=True)
class Model:
    """An encoder and a decoder that belong together."""

    encoder: Encoder[Any]
    decoder: Decoder[Any]


@dataclass(frozen=True, slots=True)
class Around:
    """What a model is given beside its weights; each takes what it has a use for.

    chat: what answers where the model itself cannot; None = the small local one.
    runtime: how a unified model runs.
    """

    chat: "ChatConfig | None" = None
    runtime: Runtime = field(default_factory=Runtime)


NOTHING_AROUND = Around()


def load_model(name: str = DEFAULT_MODEL, around: Around = NOTHING_AROUND) -> Model:
    """Return a model with its weights loaded. ValueError, CheckpointError.

    name: of the table or of a model that comes with the repository, or the path of a folder,
    which holds a slash or is there.
    """
    return Model(load_encoder(name, around), load_decoder(name, around))


def load_encoder(name: str = DEFAULT_MODEL, around: Around = NOTHING_AROUND) -> Encoder[Any]:
    """Return a model's encoder alone. ValueError, CheckpointError."""
    return _parts(name).encoder(around)


def load_decoder(name: str = DEFAULT_MODEL, around: Around = NOTHING_AROUND) -> Decoder[Any]:
    """Return a model's decoder alone. ValueError, CheckpointError."""
    return _parts(name).decoder(around)


def is_checkpoint(name: str) -> bool:
    """Whether a model is one folder of weights, by its name or by that folder's path."""
    return name in SHIPPED or (name not in _MODELS and (os.sep in name or Path(name).is_dir()))


def model_names() -> list[str]:
    """Return the names of all models that have one."""
    return sorted([*_MODELS, *SHIPPED])


def tensors_of(name: str) -> Sequence[TensorSpec]:
    """Return what a model's encoder makes of each chunk; no weights are needed.

    ValueError, CheckpointError.
    """
    return _parts(name).tensors()


@dataclass(frozen=True, slots=True)
class _Parts:
    """How each side of a model is loaded: where they run apart, neither carries the other."""

    tensors: Callable[[], Sequence[TensorSpec]]
    encoder: Callable[[Around], Encoder[Any]]
    decoder: Callable[[Around], Decoder[Any]]


def _parts(name: str) -> _Parts:
    if is_checkpoint(name):
        return _unified(name)
    if name not in _MODELS:
        known = ", ".join(model_names())
        raise ValueError(f"there is no model {name!r}; choose one of {known}, or a folder's path")
    return _MODELS[name]


# A model's runtime is imported only with it.


def _cascade_tensors() -> Sequence[TensorSpec]:
    from soundflow.cascade.encoder import CascadeEncoder

    return CascadeEncoder.tensors


def _cascade_encoder(around: Around) -> Encoder[Any]:
    from soundflow.cascade.encoder import CascadeEncoder

    return CascadeEncoder.pretrained()


def _cascade_decoder(around: Around) -> Decoder[Any]:
    from soundflow.cascade.chat import ChatConfig
    from soundflow.cascade.decoder import CascadeDecoder

    return CascadeDecoder.pretrained(around.chat or ChatConfig())


def _null_tensors() -> Sequence[TensorSpec]:
    from soundflow.null import NullEncoder

    return NullEncoder.tensors


def _null_encoder(around: Around) -> Encoder[Any]:
    from soundflow.null import NullEncoder

    return NullEncoder()


def _null_decoder(around: Around) -> Decoder[Any]:
    from soundflow.null import NullDecoder

    return NullDecoder()


def _unified(name: str) -> _Parts:
    checkpoint = open_checkpoint(name)

    def tensors() -> Sequence[TensorSpec]:
        from soundflow.unified import encoder

        return encoder.tensors_of(checkpoint.encoder_config)

    def encoder(around: Around) -> Encoder[Any]:
        from soundflow.unified.loading import encoder_of

        return encoder_of(checkpoint, around.runtime)

    def decoder(around: Around) -> Decoder[Any]:
        from soundflow.unified.loading import decoder_of

        return decoder_of(checkpoint, around.runtime)

    return _Parts(tensors, encoder, decoder)


_MODELS: Mapping[str, _Parts] = {
    "cascade": _Parts(_cascade_tensors, _cascade_encoder, _cascade_decoder),
    "null": _Parts(_null_tensors, _null_encoder, _null_decoder),
}
