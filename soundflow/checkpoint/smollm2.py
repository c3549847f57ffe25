"""SmolLM2 from GGUF to an int8 CTranslate2 folder with its tokenizer, without torch."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
SPECIAL_TOKENS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]


def convert(downloaded: Path, out: Path) -> None:
    """Write model.bin, config.json, vocabulary.json and tokenizer.json into the folder `out`.

    Takes seconds and about 1 GB of memory.
    """
    # Only a fetch needs the libraries; they would cost every start half a second.
    from gguf import GGUFReader

    reader = GGUFReader(str(downloaded / GGUF))
    tokens = _strings(reader, "tokens")
    _save_model(reader, tokens, out)
    _save_tokenizer(tokens, _strings(reader, "merges"), out / "tokenizer.json")


def _save_model(reader: Any, tokens: list[str], out: Path) -> None:
    from ctranslate2.specs import common_spec, transformer_spec

    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        _number(reader, "block_count"),
        _number(reader, "attention.head_count"),
        num_heads_kv=_number(reader, "attention.head_count_kv"),
        activation=common_spec.Activation.SWISH,
        pre_norm=True,
        ffn_glu=True,
        rms_norm=True,
        rotary_dim=0,
        rotary_interleave=True,  # GGUF keeps queries and keys in interleaved order
        rotary_base=_number(reader, "rope.freq_base"),
    )
    _fill(spec.decoder, _weights(reader))
    spec.register_vocabulary(tokens)
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = SPECIAL_TOKENS
    spec.config.layer_norm_epsilon = _number(reader, "attention.layer_norm_rms_epsilon")
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(out))


def _fill(decoder: Any, weights: dict[str, NDArray[np.float32]]) -> None:
    decoder.scale_embeddings = False
    # The model ties its output to its input embedding.
    decoder.embeddings.weight = decoder.projection.weight = weights["token_embd.weight"]
    decoder.layer_norm.gamma = weights["output_norm.weight"]
    for number, layer in enumerate(decoder.layer):
        block = f"blk.{number}"
        attention, ffn = layer.self_attention, layer.ffn
        attention.layer_norm.gamma = weights[f"{block}.attn_norm.weight"]
        attention.linear[0].weight = np.concatenate(
            [weights[f"{block}.attn_{part}.weight"] for part in "qkv"]
        )
        attention.linear[1].weight = weights[f"{block}.attn_output.weight"]
        ffn.layer_norm.gamma = weights[f"{block}.ffn_norm.weight"]
        ffn.linear_0.weight = weights[f"{block}.ffn_gate.weight"]
        ffn.linear_0_noact.weight = weights[f"{block}.ffn_up.weight"]
        ffn.linear_1.weight = weights[f"{block}.ffn_down.weight"]


def _save_tokenizer(tokens: list[str], merges: list[str], path: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {token: number for number, token in enumerate(tokens)}
    pairs = [(left, right) for left, right in (merge.split(" ") for merge in merges)]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL_TOKENS)
    tokenizer.save(str(path))


def _weights(reader: Any) -> dict[str, NDArray[np.float32]]:
    from gguf.quants import dequantize

    return {
        tensor.name: dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        for tensor in reader.tensors
    }


def _number(reader: Any, key: str) -> Any:
    field = reader.fields[f"llama.{key}"]
    return field.parts[field.data[0]][0].item()


def _strings(reader: Any, key: str) -> list[str]:
    field = reader.fields[f"tokenizer.ggml.{key}"]
    return [bytes(field.parts[index]).decode() for index in field.data]
