"""A stock Qwen2.5-Omni, whole or its thinker alone, as `transformers` saves it; to train from.

Of the whole model the thinker's language model and audio tower are taken; vision and talker stay
behind. The language model has been shown no control token yet.
"""

from functools import partial
from pathlib import Path

from soundflow.checkpoint.fields import Fields, read_json
from soundflow.checkpoint.placing import Layout, Part, Place, Shapes, prefixed
from soundflow.checkpoint.weights import safetensors_of
from soundflow.unified.audio_tower import EncoderConfig
from soundflow.unified.config import DecoderConfig

FIELDS = "config.json"

WHOLE = "qwen2_5_omni"
THINKER = "qwen2_5_omni_thinker"
TOWER = "audio_tower."
MODEL = "model."
HEAD = "lm_head."

NAMES = {
    "embedding": "model.embed_tokens",
    "attention_norm": "input_layernorm",
    "attention.out": "self_attn.o_proj",
    "mlp_norm": "post_attention_layernorm",
    "mlp.gate": "mlp.gate_proj",
    "mlp.up": "mlp.up_proj",
    "mlp.down": "mlp.down_proj",
    "norm": "model.norm",
    "head": "lm_head",
}
QKV = "attention.qkv"


def read_configs(folder: Path) -> tuple[EncoderConfig, DecoderConfig]:
    """Return both shapes. ModelMissing, ModelDamaged."""
    fields = read_json(folder / FIELDS)
    thinker = fields if _prefix(folder) == "" else fields.section("thinker_config")
    return (
        audio_config(thinker.section("audio_config")),
        _text_config(thinker.section("text_config")),
    )


def read_parts(folder: Path, config: DecoderConfig) -> tuple[Part, Part]:
    """Return both parts' weights. ModelMissing, ModelDamaged."""
    prefix = _prefix(folder)
    weights = safetensors_of(folder)
    tower = weights.under(prefix + TOWER)
    model = weights.under(prefix + MODEL, prefix + HEAD)
    tied = f"{prefix}{HEAD}weight" not in model.stored and _tied(folder)
    arrange = partial(_arranged, config=config, prefix=prefix, tied=tied)
    return Part(tower, prefixed(prefix + TOWER)), Part(model, arrange)


def audio_config(fields: Fields) -> EncoderConfig:
    """Read the audio tower's fields, which the published folder has too."""
    fields.allow("activation_function", "gelu")
    fields.allow("scale_embedding", False)
    return fields.make(
        EncoderConfig,
        mels=fields.integer("num_mel_bins"),
        width=fields.integer("d_model"),
        layers=fields.integer("encoder_layers"),
        heads=fields.integer("encoder_attention_heads"),
        ffn=fields.integer("encoder_ffn_dim"),
        output_width=fields.integer("output_dim"),
        max_positions=fields.integer("max_source_positions"),
    )


def _text_config(fields: Fields) -> DecoderConfig:
    fields.allow("hidden_act", "silu")
    fields.allow("use_sliding_window", False)
    width, heads = fields.integer("hidden_size"), fields.integer("num_attention_heads")
    return fields.make(
        DecoderConfig,
        layers=fields.integer("num_hidden_layers"),
        width=width,
        heads=heads,
        kv_heads=fields.integer("num_key_value_heads"),
        head_width=fields.integer("head_dim") if "head_dim" in fields else width // heads,
        ffn=fields.integer("intermediate_size"),
        vocabulary=fields.integer("vocab_size"),
        rope_base=_rope_base(fields),
        norm_eps=fields.number("rms_norm_eps"),
        max_positions=fields.integer("max_position_embeddings"),
    )


def _rope_base(fields: Fields) -> float:
    """Return it from where transformers 4 has it, or 5."""
    in_section = "rope_theta" not in fields and "rope_parameters" in fields
    return (fields.section("rope_parameters") if in_section else fields).number("rope_theta")


def _prefix(folder: Path) -> str:
    fields = read_json(folder / FIELDS)
    fields.allow("model_type", WHOLE, THINKER)
    return "" if fields.values.get("model_type") == THINKER else "thinker."


def _tied(folder: Path) -> bool:
    fields = read_json(folder / FIELDS)
    thinker = fields if _prefix(folder) == "" else fields.section("thinker_config")
    text = thinker.section("text_config")
    return "tie_word_embeddings" in text and text.flag("tie_word_embeddings")


def _arranged(shapes: Shapes, config: DecoderConfig, prefix: str, tied: bool) -> Layout:
    queries = config.heads * config.head_width
    keys = config.kv_heads * config.head_width
    rows = {
        "q": range(queries),
        "k": range(queries, queries + keys),
        "v": range(queries + keys, queries + 2 * keys),
    }
    layout: dict[str, tuple[Place, ...]] = {}
    for name in shapes:
        owner, _, leaf = name.rpartition(".")
        _, layer, inner = owner.split(".", maxsplit=2) if owner.startswith("blocks.") else ("",) * 3
        block = f"{prefix}model.layers.{layer}."
        if inner == QKV:
            for part, its_rows in rows.items():
                layout[f"{block}self_attn.{part}_proj.{leaf}"] = (Place(name, its_rows),)
        elif inner:
            layout[f"{block}{NAMES[inner]}.{leaf}"] = (Place(name),)
        elif not (tied and owner == "head"):
            layout[f"{prefix}{NAMES[owner]}.{leaf}"] = (Place(name),)
    if tied:
        both = (Place("embedding.weight"), Place("head.weight"))
        layout[f"{prefix}{NAMES['embedding']}.weight"] = both
    return layout
