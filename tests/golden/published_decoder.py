"""The language model with its golden weights."""

from dataclasses import replace

import torch

from soundflow.unified.config import DecoderConfig
from soundflow.unified.quantised import WeightFormat
from soundflow.unified.transformer import LanguageModel
from soundflow.unified.weightless import without_weights
from tests import golden

# The published names, and ours.
NAMES = {
    "transformer.wte": "embedding",
    "transformer.ln_f": "norm",
    "lm_head": "head",
    "transformer.h": "blocks",
    "norm_1": "attention_norm",
    "norm_2": "mlp_norm",
    "attn.qkv": "attention.qkv",
    "attn.proj": "attention.out",
    "mlp.fc_1": "mlp.gate",
    "mlp.fc_2": "mlp.up",
    "mlp.proj": "mlp.down",
}


def decoder_config() -> DecoderConfig:
    """Return the golden decoder's configuration."""
    fields = golden.decoder_fields()
    return DecoderConfig(
        layers=fields["n_layer"],
        width=fields["n_embd"],
        heads=fields["n_head"],
        kv_heads=fields["n_query_groups"],
        head_width=fields["head_size"],
        ffn=fields["intermediate_size"],
        vocabulary=fields["padded_vocab_size"],
        rope_base=fields["rope_base"],
        norm_eps=fields["norm_eps"],
        max_positions=fields["block_size"],
        qkv_bias=fields["attn_bias"],
    )


def language_model(weights: WeightFormat = WeightFormat.FLOAT) -> LanguageModel:
    """Return the golden decoder, as for inference."""
    with without_weights():
        made = LanguageModel(decoder_config(), weights=weights)
    state = {_ours(name): torch.from_numpy(w) for name, w in golden.decoder_weights().items()}
    made.load_state_dict(state, assign=True)
    return made.eval().requires_grad_(False)


def with_used_ids_only() -> LanguageModel:
    """Return the same with no logits but those of `golden.used_ids`; of all others they are 0."""
    used = torch.from_numpy(golden.used_ids())
    state = language_model().state_dict()
    for table in ("embedding.weight", "head.weight"):
        state[table] = state[table][used]
    made = LanguageModel(replace(decoder_config(), vocabulary=len(used)))
    made.load_state_dict(state)
    return made.eval().requires_grad_(False)


def _ours(name: str) -> str:
    for published, ours in NAMES.items():
        name = name.replace(f"{published}.", f"{ours}.")
    return name
