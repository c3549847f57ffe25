"""A small model to train from: pretrained ears, and behind them random weights."""

import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from soundflow.checkpoint import fetch, own
from soundflow.checkpoint.ctranslate2_whisper import Arrays, read_encoder
from soundflow.checkpoint.errors import CacheUnwritable, ModelDamaged
from soundflow.checkpoint.folder import TOKENIZER
from soundflow.checkpoint.onnx_yamnet import read_yamnet
from soundflow.checkpoint.weights import SINGLE
from soundflow.unified.config import DecoderConfig
from soundflow.unified.small_tower import SmallTower, SmallTowerConfig
from soundflow.unified.tokens import ControlTokens
from soundflow.unified.transformer import LanguageModel

WHISPER, YAMNET = "whisper-tiny.en", "yamnet"


def write_start(
    folder: Path,
    tokenizer: Path,
    control: ControlTokens,
    decoder: DecoderConfig,
    tower: SmallTowerConfig | None = None,
    *,
    seed: int = 0,
) -> Path:
    """Write our own folder `folder`, in float32; the same seed gives the same weights.

    tokenizer: the file that is copied into it. tower: None = Whisper tiny's and YAMNet's shapes,
    with frames as wide as the decoder. The pretrained parts are fetched where they are missing.
    CheckpointError.
    """
    config = tower or SmallTowerConfig(output_width=decoder.width)
    if folder.exists():
        raise CacheUnwritable(f"{folder} is there already; remove it, or choose another folder")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        ears, model = SmallTower(config), LanguageModel(decoder)
    fill_frozen(ears)
    parts = ((own.ENCODER, ears), (own.DECODER, model))
    tensors = {
        prefix + name: tensor.contiguous()
        for prefix, module in parts
        for name, tensor in module.state_dict().items()
    }
    folder.mkdir(parents=True)
    own.write_fields(folder, config, decoder, control)
    shutil.copyfile(tokenizer, folder / TOKENIZER)
    save_file(tensors, folder / SINGLE, metadata={"format": "pt"})
    return folder


def fill_frozen(tower: SmallTower) -> None:
    """Give a tower Whisper's encoder and YAMNet. CheckpointError."""
    _fill(tower.whisper, read_encoder(fetch(WHISPER)), WHISPER)
    _fill(tower.yamnet, read_yamnet(fetch(YAMNET)), YAMNET)


def _fill(module: nn.Module, weights: Arrays, name: str) -> None:
    try:
        module.load_state_dict({n: torch.tensor(weight) for n, weight in weights.items()})
    except RuntimeError as error:  # it lists what is missing, unexpected or of another shape
        raise ModelDamaged(f"{name} is of another shape than the tower: {error}") from error
