"""The folder that the authors publish: the decoder in LitGPT's names, the encoder beside it.

| file | what |
|---|---|
| `model_config.yaml` | the decoder's shape |
| `model.safetensors.index.json`, `model-0000i-of-0000n.safetensors` | its weights |
| `qwen25OmniConfig/config.json` | the encoder's shape, in `thinker_config.audio_config` |
| `audiointeraction_ChunkwisedEncoder.pth` | its weights, by the names that the tower has |
| `tokenizer.json` | Qwen2's |
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from soundflow.checkpoint.fields import Fields, read_json, read_yaml
from soundflow.checkpoint.placing import Layout, Part, Place, Shapes, prefixed
from soundflow.checkpoint.qwen import audio_config
from soundflow.checkpoint.weights import Weights, pickle_of, safetensors_of
from soundflow.unified.audio_tower import EncoderConfig
from soundflow.unified.config import DecoderConfig

DECODER_FIELDS = "model_config.yaml"
ENCODER_FIELDS = Path("qwen25OmniConfig", "config.json")
ENCODER = "audiointeraction_ChunkwisedEncoder.pth"

# The longest session that was published; LitGPT's own default too.
DEFAULT_POSITIONS = 4096

# What LitGPT can do beyond our architecture; each of these changes the numbers.
OFF = (
    "attention_logit_softcapping",
    "attention_scores_scalar",
    "final_logit_softcapping",
    "lm_head_bias",
    "n_expert",
    "norm_qk",
    "post_attention_norm",
    "post_mlp_norm",
    "rope_adjustments",
    "rope_interleave",
    "scale_embeddings",
    "shared_attention_norm",
    "sliding_window_size",
)

# What the published names stand for.
NAMES = {
    "embedding": "transformer.wte",
    "attention_norm": "norm_1",
    "attention.qkv": "attn.qkv",
    "attention.out": "attn.proj",
    "mlp_norm": "norm_2",
    "mlp.gate": "mlp.fc_1",
    "mlp.up": "mlp.fc_2",
    "mlp.down": "mlp.proj",
    "norm": "transformer.ln_f",
    "head": "lm_head",
}
# LitGPT wrote them until 2024: query, key and value of one group of heads, then the next group's.
LEGACY_QKV = "attn.attn"


def read_configs(folder: Path) -> tuple[EncoderConfig, DecoderConfig]:
    """Return both shapes. ModelMissing, ModelDamaged."""
    omni = read_json(folder / ENCODER_FIELDS)
    encoder = audio_config(omni.section("thinker_config").section("audio_config"))
    return encoder, decoder_config(read_yaml(folder / DECODER_FIELDS))


def read_parts(folder: Path, config: DecoderConfig) -> tuple[Part, Part]:
    """Return both parts' weights. ModelMissing, ModelDamaged."""
    weights = safetensors_of(folder)
    encoder = Part(pickle_of(folder / ENCODER), prefixed(""))
    return encoder, Part(weights, partial(_arranged, config=config, weights=weights))


def decoder_config(fields: Fields) -> DecoderConfig:
    """Read LitGPT's fields; what they may say beyond our architecture is refused."""
    fields.require("norm_class_name", "RMSNorm")
    fields.require("mlp_class_name", "LLaMAMLP")
    fields.require("parallel_residual", only=False)
    fields.require("rotary_percentage", 1.0)
    fields.require("bias", only=False)
    for name in OFF:
        fields.allow(name, None, False, 0)
    fields.allow("rope_condense_ratio", 1)
    return fields.make(
        DecoderConfig,
        layers=fields.integer("n_layer"),
        width=fields.integer("n_embd"),
        heads=fields.integer("n_head"),
        kv_heads=fields.integer("n_query_groups"),
        head_width=fields.integer("head_size"),
        ffn=fields.integer("intermediate_size"),
        vocabulary=fields.integer("padded_vocab_size"),
        rope_base=fields.number("rope_base"),
        norm_eps=fields.number("norm_eps"),
        max_positions=fields.integer("block_size") if "block_size" in fields else DEFAULT_POSITIONS,
        qkv_bias=fields.flag("attn_bias"),
    )


def _arranged(shapes: Shapes, config: DecoderConfig, weights: Weights) -> Layout:
    layout: dict[str, tuple[Place, ...]] = {}
    interleaved = _interleaved(config)
    for name in shapes:
        published = published_name(name)
        legacy = published.replace(NAMES["attention.qkv"], LEGACY_QKV)
        if legacy != published and legacy in weights.stored:
            layout[legacy] = (Place(name, interleaved),)
        else:
            layout[published] = (Place(name),)
    return layout


def published_name(name: str) -> str:
    """Return the published name of one of the decoder's tensors."""
    owner, _, leaf = name.rpartition(".")
    if not owner.startswith("blocks."):
        return f"{NAMES[owner]}.{leaf}"
    _, layer, inner = owner.split(".", maxsplit=2)
    return f"transformer.h.{layer}.{NAMES[inner]}.{leaf}"


def _interleaved(config: DecoderConfig) -> Sequence[int]:
    """Return which row of the stacked matrix each row of an interleaved one is."""
    heads_of_group = config.heads // config.kv_heads
    rows: list[int] = []
    for group in range(config.kv_heads):
        queries = range(group * heads_of_group, (group + 1) * heads_of_group)
        key = config.heads + group
        value = key + config.kv_heads
        for head in (*queries, key, value):
            rows += range(head * config.head_width, (head + 1) * config.head_width)
    return rows
