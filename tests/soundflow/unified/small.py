"""A tiny model of the small model's kind, with random weights."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from soundflow.checkpoint import own
from soundflow.checkpoint.folder import TOKENIZER
from soundflow.checkpoint.weights import SINGLE
from soundflow.unified.config import DecoderConfig
from soundflow.unified.small_tower import SmallTower, SmallTowerConfig
from soundflow.unified.tokens import ControlTokens
from soundflow.unified.transformer import LanguageModel
from tests.soundflow.unified.byte_bpe import byte_bpe

TINY = SmallTowerConfig(
    mels=80,
    width=16,
    layers=2,
    heads=2,
    ffn=32,
    tagger_channels=2,
    adapter_width=12,
    adapter_ffn=24,
    letters=5,
    projection=16,
    output_width=12,
)
DECODER = DecoderConfig(
    layers=1,
    width=12,
    heads=2,
    kv_heads=1,
    head_width=6,
    ffn=16,
    vocabulary=320,
    max_positions=2048,
)
# 300 pieces of text, then the control tokens.
_NAMES = (
    *("user", "assistant", "silence", "pad", "online", "offline", "english"),
    *("happy", "sad", "angry", "surprise", "normal", "urgent"),
    *("text_end", "text_begin", "audio_pad", "audio_begin", "audio_end"),
)
_IDS = {name: number for number, name in enumerate(_NAMES, start=300)}
CONTROL = ControlTokens(**_IDS, system=_IDS["text_begin"])


def small_tower(seed: int = 0, config: SmallTowerConfig = TINY) -> SmallTower:
    """Return the tower, the same for the same seed, as for inference."""
    torch.manual_seed(seed)
    tower = SmallTower(config)
    tower.eval().requires_grad_(False)
    return tower


def write_small(folder: Path, dtype: torch.dtype = torch.float16) -> Path:
    """Write such a model in our own form; the same weights in each precision."""
    tower = small_tower()
    model = LanguageModel(DECODER)
    parts = ((own.ENCODER, tower), (own.DECODER, model))
    tensors = {
        prefix + name: tensor.to(dtype).contiguous()
        for prefix, module in parts
        for name, tensor in module.state_dict().items()
    }
    folder.mkdir(parents=True)
    own.write_fields(folder, TINY, DECODER, CONTROL)
    byte_bpe().save(str(folder / TOKENIZER))
    save_file(tensors, folder / SINGLE)
    return folder
