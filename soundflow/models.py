"""The models that can listen, by name; a new one is added to the table at the end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from soundflow.decoder import Decoder
from soundflow.encoder import Encoder

DEFAULT_MODEL = "cascade"


@dataclass(frozen=True, slots=True)
class Model:
    """An encoder and a decoder that belong together."""

    encoder: Encoder[Any]
    decoder: Decoder[Any]


def load_model(name: str = DEFAULT_MODEL) -> Model:
    """Return the model of that name with its weights loaded. ValueError, CheckpointError."""
    if name not in _LOADERS:
        raise ValueError(f"there is no model {name!r}; choose one of {', '.join(sorted(_LOADERS))}")
    return _LOADERS[name]()


def _cascade() -> Model:
    from soundflow.cascade.decoder import CascadeDecoder  # a model's runtime loads only with it
    from soundflow.cascade.encoder import CascadeEncoder

    return Model(CascadeEncoder.pretrained(), CascadeDecoder.pretrained())


def _null() -> Model:
    from soundflow.null import NullDecoder, NullEncoder

    return Model(NullEncoder(), NullDecoder())


_LOADERS: Mapping[str, Callable[[], Model]] = {"cascade": _cascade, "null": _null}
