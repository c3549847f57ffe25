"""Checkpoint folders as others write them, of the golden weights or of small random ones."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor

from tests import golden
from tests.soundflow.unified.byte_bpe import SPOKEN, byte_bpe

INDEX = "model.safetensors.index.json"
PTH = "audiointeraction_ChunkwisedEncoder.pth"

# The ids of the golden conversation's text, each of which has a word: 1000 is " ba".
FIRST_SPOKEN, FIRST_SPECIAL = 1000, 1100
# The golden session's system prompt, written out: its tokens are 1000 to 1006.
GOLDEN_INSTRUCTION = "".join(SPOKEN[:7])

TINY_AUDIO = {
    "num_mel_bins": 128,
    "d_model": 16,
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "output_dim": 32,
    "max_source_positions": 1500,
    "activation_function": "gelu",
    "scale_embedding": False,
}
TINY_TEXT = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "vocab_size": 151_936,
    "rope_theta": 1e6,
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
}


def write_published(folder: Path, *, shards: int = 3, legacy: bool = False) -> Path:
    """Write the golden model as the authors publish theirs. legacy: QKV as LitGPT once had it."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: torch.from_numpy(value) for name, value in golden.decoder_weights().items()}
    fields = golden.decoder_fields()
    if legacy:
        weights = dict(_legacy(name, value, fields) for name, value in weights.items())
    (folder / "model_config.yaml").write_text(yaml.safe_dump(fields))
    write_shards(folder, weights, shards)
    (folder / "qwen25OmniConfig").mkdir(exist_ok=True)
    omni = {"thinker_config": {"audio_config": golden.encoder_fields()}}
    (folder / "qwen25OmniConfig" / "config.json").write_text(json.dumps(omni))
    tower = {name: torch.from_numpy(value) for name, value in golden.encoder_weights().items()}
    torch.save(tower, folder / PTH)
    byte_bpe(first_special=FIRST_SPECIAL, first_spoken=FIRST_SPOKEN).save(
        str(folder / "tokenizer.json")
    )
    return folder


def write_shards(folder: Path, weights: Mapping[str, Tensor], shards: int) -> None:
    """Deal the tensors out to so many files, with an index."""
    names = list(weights)
    files = {
        f"model-{number + 1:05}-of-{shards:05}.safetensors": names[number::shards]
        for number in range(shards)
    }
    for file, its_names in files.items():
        save_file({name: weights[name].contiguous() for name in its_names}, folder / file)
    weight_map = {name: file for file, its_names in files.items() for name in its_names}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def write_stock(folder: Path, *, whole: bool = True, tied: bool = False) -> dict[str, Tensor]:
    """Write a small random Qwen2.5-Omni, whole or the thinker alone; return its tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(1)
    shapes = _stock_shapes(tied=tied)
    if whole:
        shapes = {f"thinker.{name}": shape for name, shape in shapes.items()}
        shapes |= {"thinker.visual.blocks.0.weight": (3, 2), "talker.model.norm.weight": (2,)}
    weights = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    write_shards(folder, weights, 2)
    text = TINY_TEXT | {"tie_word_embeddings": tied}
    thinker: dict[str, Any] = {"audio_config": TINY_AUDIO, "text_config": text}
    fields = (
        {"model_type": "qwen2_5_omni", "thinker_config": thinker}
        if whole
        else {"model_type": "qwen2_5_omni_thinker", **thinker}
    )
    (folder / "config.json").write_text(json.dumps(fields))
    byte_bpe().save(str(folder / "tokenizer.json"))
    return weights


def _stock_shapes(*, tied: bool) -> dict[str, tuple[int, ...]]:
    mels, width, ffn, out = 128, 16, 24, 32
    tower = {"conv1": (width, mels, 3), "conv2": (width, width, 3), "proj": (out, width)}
    layer = "layers.0."
    attention = (f"{layer}self_attn.{part}_proj" for part in "qkv")
    tower |= dict.fromkeys(attention, (width, width))
    tower |= {f"{layer}self_attn.out_proj": (width, width)}
    tower |= {f"{layer}fc1": (ffn, width), f"{layer}fc2": (width, ffn)}
    norms = (f"{layer}self_attn_layer_norm", f"{layer}final_layer_norm", "ln_post")
    tower |= dict.fromkeys(norms, (width,))
    shapes = {f"audio_tower.{name}.weight": shape for name, shape in tower.items()}
    biases = (name for name in tower if not name.endswith("k_proj"))
    shapes |= {f"audio_tower.{name}.bias": tower[name][:1] for name in biases}
    shapes["audio_tower.audio_bos_eos_token.weight"] = (2, out)
    hidden, keys, inner, vocabulary = 32, 16, 48, 151_936
    for number in range(2):
        block = f"model.layers.{number}."
        for part, rows in {"q": hidden, "k": keys, "v": keys}.items():
            shapes[f"{block}self_attn.{part}_proj.weight"] = (rows, hidden)
            shapes[f"{block}self_attn.{part}_proj.bias"] = (rows,)
        shapes[f"{block}self_attn.o_proj.weight"] = (hidden, hidden)
        shapes[f"{block}mlp.gate_proj.weight"] = (inner, hidden)
        shapes[f"{block}mlp.up_proj.weight"] = (inner, hidden)
        shapes[f"{block}mlp.down_proj.weight"] = (hidden, inner)
        shapes[f"{block}input_layernorm.weight"] = (hidden,)
        shapes[f"{block}post_attention_layernorm.weight"] = (hidden,)
    shapes |= {"model.norm.weight": (hidden,), "model.embed_tokens.weight": (vocabulary, hidden)}
    return shapes if tied else shapes | {"lm_head.weight": (vocabulary, hidden)}


def _legacy(name: str, value: Tensor, fields: Mapping[str, Any]) -> tuple[str, Tensor]:
    """Put one group's queries, key and value after the other's, as LitGPT did until 2024."""
    if "attn.qkv" not in name:
        return name, value
    groups, head = fields["n_query_groups"], fields["head_size"]
    queries = fields["n_head"] // groups * head
    sizes = [queries * groups, head * groups, head * groups]
    stacked = torch.split(value, sizes)
    parts = zip(*(part.chunk(groups) for part in stacked), strict=True)
    interleaved = torch.cat([torch.cat(group) for group in parts])
    return name.replace("attn.qkv", "attn.attn"), interleaved
