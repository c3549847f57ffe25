"""The models that can listen, by name; a new one is added to the table at the end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soundflow.decoder import Decoder
from soundflow.encoder import Encoder

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
    if name not in _LOADERS:
        raise ValueError(f"there is no model {name!r}; choose one of {', '.join(sorted(_LOADERS))}")
    return _LOADERS[name](chat)


def _cascade(chat: "ChatConfig | None") -> Model:
    from soundflow.cascade.chat import ChatConfig  # a model's runtime loads only with it
    from soundflow.cascade.decoder import CascadeDecoder
    from soundflow.cascade.encoder import CascadeEncoder

    return Model(CascadeEncoder.pretrained(), CascadeDecoder.pretrained(chat or ChatConfig()))


def _null(chat: "ChatConfig | None") -> Model:
    from soundflow.null import NullDecoder, NullEncoder

    return Model(NullEncoder(), NullDecoder())


_LOADERS: Mapping[str, Callable[["ChatConfig | None"], Model]] = {
    "cascade": _cascade,
    "null": _null,
}
