"""A unified model's folder, whoever wrote it: published, our own, or a stock Qwen2.5-Omni.

Apart from the package's other modules this needs torch, so it is imported by itself.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import torch

from soundflow.checkpoint import own, published, qwen
from soundflow.checkpoint.errors import ModelDamaged, ModelMissing
from soundflow.checkpoint.placing import Part
from soundflow.unified.config import DecoderConfig
from soundflow.unified.quantised import WeightFormat
from soundflow.unified.tokens import ControlTokens, TextTokens
from soundflow.unified.towers import Tower, TowerConfig, tower_of
from soundflow.unified.transformer import LanguageModel
from soundflow.unified.weightless import without_weights

TOKENIZER = "tokenizer.json"


class Kind(StrEnum):
    """Who wrote the folder."""

    PUBLISHED = "published"
    OWN = "soundflow"
    STOCK = "qwen2.5-omni"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a folder says that it holds; the weights are read by the `load_…` and `make_…` calls.

    Calls raise ModelMissing or ModelDamaged, which name the file and the tensor.
    """

    path: Path
    kind: Kind
    encoder_config: TowerConfig
    decoder_config: DecoderConfig
    control: ControlTokens
    encoder: Part
    decoder: Part

    def make_encoder(self, dtype: torch.dtype | None = None, device: str = "cpu") -> Tower:
        """Return the audio tower with its weights. dtype: None = as they are stored."""
        with without_weights():
            tower = tower_of(self.encoder_config)
        self.load_encoder(tower, dtype, device)
        return tower.to(device, next(tower.parameters()).dtype)

    def make_decoder(
        self,
        dtype: torch.dtype | None = None,
        device: str = "cpu",
        weights: WeightFormat = WeightFormat.FLOAT,
    ) -> LanguageModel:
        """Return the language model with its weights. dtype: None = as they are stored."""
        with without_weights():
            model = LanguageModel(self.decoder_config, weights=weights)
        self.load_decoder(model, dtype, device)
        return model.to(device)

    def load_encoder(
        self, tower: Tower, dtype: torch.dtype | None = None, device: str = "cpu"
    ) -> None:
        """Fill a tower of `encoder_config`; see `Part.load`."""
        self.encoder.load(tower, dtype, device)

    def load_decoder(
        self, model: LanguageModel, dtype: torch.dtype | None = None, device: str = "cpu"
    ) -> None:
        """Fill a language model of `decoder_config`; see `Part.load`."""
        self.decoder.load(model, dtype, device)

    def verify(self) -> None:
        """Compare every name, shape and type of both parts, and read the tokeniser."""
        with without_weights():
            self.encoder.check(tower_of(self.encoder_config))
            self.decoder.check(LanguageModel(self.decoder_config))
        self.read_tokenizer()

    def read_tokenizer(self) -> TextTokens:
        """Return what turns text into tokens."""
        file = self.path / TOKENIZER
        if not file.is_file():
            raise ModelMissing(f"{file} is missing")
        try:
            return TextTokens.from_file(file, self.control)
        except ValueError as error:
            raise ModelDamaged(str(error)) from error


def open_checkpoint(path: str | Path) -> Checkpoint:
    """Read a folder's configuration and what its files say that they hold, but no weights.

    ModelMissing, ModelDamaged.
    """
    folder = Path(path)
    kind = _kind(folder)
    control = ControlTokens()
    match kind:
        case Kind.OWN:
            encoder_config, decoder_config, control = own.read_configs(folder)
            encoder, decoder = own.read_parts(folder)
        case Kind.PUBLISHED:
            encoder_config, decoder_config = published.read_configs(folder)
            encoder, decoder = published.read_parts(folder, decoder_config)
        case Kind.STOCK:
            encoder_config, decoder_config = qwen.read_configs(folder)
            encoder, decoder = qwen.read_parts(folder, decoder_config)
    checkpoint = Checkpoint(folder, kind, encoder_config, decoder_config, control, encoder, decoder)
    _check_fit(checkpoint)
    return checkpoint


def _kind(folder: Path) -> Kind:
    if not folder.is_dir():
        raise ModelMissing(f"{folder} is not a folder")
    known = {
        own.FIELDS: Kind.OWN,
        published.DECODER_FIELDS: Kind.PUBLISHED,
        qwen.FIELDS: Kind.STOCK,
    }
    for file, kind in known.items():
        if (folder / file).exists():
            return kind
    raise ModelMissing(f"{folder} is no checkpoint: it holds none of {', '.join(known)}")


def _check_fit(checkpoint: Checkpoint) -> None:
    """See that the parts fit each other."""
    frames, width = checkpoint.encoder_config.output_width, checkpoint.decoder_config.width
    if frames != width:
        raise ModelDamaged(
            f"{checkpoint.path}: the encoder's frames are {frames} wide, the decoder is {width}"
        )
    largest, vocabulary = max(checkpoint.control.ids), checkpoint.decoder_config.vocabulary
    if largest >= vocabulary:
        raise ModelDamaged(
            f"{checkpoint.path}: control token {largest} is beyond the {vocabulary} of the decoder"
        )
