"""Load a checkpoint of the published layout and 3B shapes, and let it answer one chunk.

Its weights are random bfloat16, written into a temporary folder (8 GB, removed at the end). Loading
and answering happen in a process of their own, whose memory is looked at while it works. Writes
`bench/results/load_3b.json`.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import torch
import yaml
from rich.console import Console
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

from bench.load_one import Answered
from soundflow.checkpoint import published
from soundflow.checkpoint.folder import TOKENIZER
from soundflow.checkpoint.placing import Shape, shapes_of
from soundflow.checkpoint.weights import INDEX
from soundflow.unified.audio_tower import AudioTower, EncoderConfig
from soundflow.unified.config import DecoderConfig
from soundflow.unified.transformer import LanguageModel
from soundflow.unified.weightless import without_weights

RESULTS = Path(__file__).parent / "results" / "load_3b.json"
SHARDS = 4
SPREAD = 0.02  # of random weights: enough for numbers that stay finite through all layers
LIMIT_GB = 24.0
LOOK_EVERY_S = 0.05
GIGABYTE = 1e9


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was written, and what it took. own: memory that is no mapped file's."""

    written_gb: float
    write_s: float
    answered: Answered
    peak_gb: float
    peak_own_gb: float


def write_checkpoint(folder: Path, encoder: EncoderConfig, decoder: DecoderConfig) -> None:
    """Write random weights as they are published, never more than a shard in memory."""
    with without_weights():
        tower, model = shapes_of(AudioTower(encoder)), shapes_of(LanguageModel(decoder))
    torch.manual_seed(1)
    torch.save(dict(_random(tower)), folder / published.ENCODER)
    weight_map: dict[str, str] = {}
    for number, names in enumerate(_dealt(model), start=1):
        file = f"model-{number:05}-of-{SHARDS:05}.safetensors"
        named = {published.published_name(name): model[name] for name in names}
        save_file(dict(_random(named)), folder / file)
        weight_map |= dict.fromkeys(named, file)
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    (folder / published.DECODER_FIELDS).write_text(yaml.safe_dump(_decoder_fields(decoder)))
    omni = folder / published.ENCODER_FIELDS
    omni.parent.mkdir()
    omni.write_text(json.dumps({"thinker_config": {"audio_config": _encoder_fields(encoder)}}))
    _letters().save(str(folder / TOKENIZER))


def measure(folder: Path) -> tuple[Answered, float, float]:
    """Return what the other process tells, and its highest memory in all and of its own, in GB."""
    command = [sys.executable, "-m", "bench.load_one", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        peak = own = 0
        looked = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                memory = looked.memory_info()
            except psutil.NoSuchProcess:
                break
            peak, own = max(peak, memory.rss), max(own, memory.rss - memory.shared)
            time.sleep(LOOK_EVERY_S)
        told, _ = process.communicate()
    if process.returncode:
        sys.exit(f"loading failed with exit status {process.returncode}")
    return Answered(**json.loads(told)), peak / GIGABYTE, own / GIGABYTE


def run(encoder: EncoderConfig, decoder: DecoderConfig, within: Path | None = None) -> Loaded:
    """Write, load, answer, remove."""
    with TemporaryDirectory(prefix="load-3b-", dir=within) as work:
        folder = Path(work)
        began_s = time.perf_counter()
        write_checkpoint(folder, encoder, decoder)
        write_s = time.perf_counter() - began_s
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        return Loaded(size / GIGABYTE, write_s, *measure(folder))


def _random(shapes: Mapping[str, Shape]) -> Iterator[tuple[str, Tensor]]:
    for name, shape in shapes.items():
        tensor = torch.empty(shape, dtype=torch.bfloat16)
        if "norm" in name or "ln_" in name:
            yield name, tensor.fill_(0.0 if name.endswith("bias") else 1.0)
        else:
            yield name, tensor.normal_(std=SPREAD)


def _dealt(shapes: Mapping[str, Shape]) -> list[list[str]]:
    """Deal the tensors out in their order, about as many bytes to each shard."""
    share = sum(math.prod(shape) for shape in shapes.values()) / SHARDS
    shards: list[list[str]] = [[] for _ in range(SHARDS)]
    dealt = 0
    for name, shape in shapes.items():
        shards[min(int(dealt / share), SHARDS - 1)].append(name)
        dealt += math.prod(shape)
    return shards


def _decoder_fields(config: DecoderConfig) -> dict[str, object]:
    return {
        "n_layer": config.layers,
        "n_embd": config.width,
        "n_head": config.heads,
        "n_query_groups": config.kv_heads,
        "head_size": config.head_width,
        "intermediate_size": config.ffn,
        "padded_vocab_size": config.vocabulary,
        "rope_base": config.rope_base,
        "norm_eps": config.norm_eps,
        "block_size": config.max_positions,
        "norm_class_name": "RMSNorm",
        "mlp_class_name": "LLaMAMLP",
        "bias": False,
        "attn_bias": config.qkv_bias,
        "parallel_residual": False,
        "rotary_percentage": 1.0,
    }


def _encoder_fields(config: EncoderConfig) -> dict[str, object]:
    return {
        "num_mel_bins": config.mels,
        "d_model": config.width,
        "encoder_layers": config.layers,
        "encoder_attention_heads": config.heads,
        "encoder_ffn_dim": config.ffn,
        "output_dim": config.output_width,
        "max_source_positions": config.max_positions,
    }


def _letters() -> Tokenizer:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(letters)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def main() -> None:
    """Measure, print, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--within", type=Path, help="where the 8 GB are written for a while")
    console = Console()
    loaded = run(EncoderConfig(), DecoderConfig(), parser.parse_args().within)
    answered = loaded.answered
    console.print(f"written: {loaded.written_gb:.2f} GB in {loaded.write_s:.0f} s")
    console.print(
        f"loaded: encoder {answered.encoder_s:.1f} s, decoder {answered.decoder_s:.1f} s, "
        f"{answered.load_processor_s:.1f} s of the processor"
    )
    console.print(
        f"one chunk: encoded in {answered.encode_s:.2f} s, "
        f"answered in {answered.decide_s:.2f} s with {answered.action!r}; "
        f"the next one, both: {answered.next_s:.2f} s, {answered.next_processor_s:.2f} s of the "
        "processor"
    )
    verdict = "holds" if loaded.peak_gb <= LIMIT_GB else "does NOT hold"
    console.print(
        f"memory at most: {loaded.peak_gb:.2f} GB (within {LIMIT_GB:.0f} GB: {verdict}), "
        f"{loaded.peak_own_gb:.2f} GB without mapped files"
    )
    RESULTS.parent.mkdir(exist_ok=True)
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[1], "torch": torch.__version__}
    figures = asdict(loaded) | machine
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
