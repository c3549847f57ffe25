"""The models that can listen, by name; a new one is added to the table at the end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soundflow.decoder import Decoder
from soundflow.encoder import Encoder
from soundflow.features import TensorSpec

if TYPE_CHECKING:
    from soundflow.cascade.chat import ChatConfig

DEFAULT_MODEL = "cascade"


@dataclass(frozen=True, slots=True)
class Model:
    """An encoder and a decoder that belong together."""

    encoder: Encoder[Any]
    decoder: Decoder[Any]


def load_model(name: str = DEFAULT_MODEL, chat: "ChatConfig | None" = None) -> Model:
    """Return the model of that name with its weights loaded. ValueError, CheckpointError.

    chat: what answers where the model itself cannot; by default the small local one.
    """
    return Model(load_encoder(name), load_decoder(name, chat))


def load_encoder(name: str = DEFAULT_MODEL) -> Encoder[Any]:
    """Return a model's encoder alone. ValueError, CheckpointError."""
    return _parts(name).encoder()


def load_decoder(name: str = DEFAULT_MODEL, chat: "ChatConfig | None" = None) -> Decoder[Any]:
    """Return a model's decoder alone. ValueError, CheckpointError."""
    return _parts(name).decoder(chat)


def model_names() -> list[str]:
    """Return the names of all models."""
    return sorted(_MODELS)


def tensors_of(name: str) -> Sequence[TensorSpec]:
    """Return what a model's encoder makes of each chunk; no weights are needed. ValueError."""
    return _parts(name).tensors()


@dataclass(frozen=True, slots=True)
class _Parts:
    """How each side of a model is loaded: where they run apart, neither carries the other."""

    tensors: Callable[[], Sequence[TensorSpec]]
    encoder: Callable[[], Encoder[Any]]
    decoder: Callable[["ChatConfig | None"], Decoder[Any]]


def _parts(name: str) -> _Parts:
    if name not in _MODELS:
        raise ValueError(f"there is no model {name!r}; choose one of {', '.join(model_names())}")
    return _MODELS[name]


# A model's runtime is imported only with it.


def _cascade_tensors() -> Sequence[TensorSpec]:
    from soundflow.cascade.encoder import CascadeEncoder

    return CascadeEncoder.tensors


def _cascade_encoder() -> Encoder[Any]:
    from soundflow.cascade.encoder import CascadeEncoder

    return CascadeEncoder.pretrained()


def _cascade_decoder(chat: "ChatConfig | None") -> Decoder[Any]:
    from soundflow.cascade.chat import ChatConfig
    from soundflow.cascade.decoder import CascadeDecoder

    return CascadeDecoder.pretrained(chat or ChatConfig())


def _null_tensors() -> Sequence[TensorSpec]:
    from soundflow.null import NullEncoder

    return NullEncoder.tensors


def _null_encoder() -> Encoder[Any]:
    from soundflow.null import NullEncoder

    return NullEncoder()


def _null_decoder(chat: "ChatConfig | None") -> Decoder[Any]:
    from soundflow.null import NullDecoder

    return NullDecoder()


_MODELS: Mapping[str, _Parts] = {
    "cascade": _Parts(_cascade_tensors, _cascade_encoder, _cascade_decoder),
    "null": _Parts(_null_tensors, _null_encoder, _null_decoder),
}
