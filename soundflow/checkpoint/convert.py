"""Write our own folder out of any checkpoint, never holding more than one shard of it in memory."""

import json
import shutil
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from soundflow.checkpoint import own
from soundflow.checkpoint.errors import CacheUnwritable
from soundflow.checkpoint.folder import TOKENIZER, Checkpoint
from soundflow.checkpoint.placing import Part, shapes_of
from soundflow.checkpoint.weights import INDEX
from soundflow.unified.towers import tower_of
from soundflow.unified.transformer import LanguageModel
from soundflow.unified.weightless import without_weights

SHARD_BYTES = 2_000_000_000

Report = Callable[[int, int], None]  # bytes done, bytes in all


def convert(
    source: Checkpoint,
    target: Path,
    *,
    dtype: torch.dtype | None = None,
    shard_bytes: int = SHARD_BYTES,
    report: Report = lambda done, total: None,
) -> None:
    """Write the folder `target`, which must not be there; all of it appears at once, or nothing.

    dtype: None = as it is stored. ModelMissing, ModelDamaged, CacheUnwritable.
    """
    source.verify()
    with without_weights():
        encoder, decoder = tower_of(source.encoder_config), LanguageModel(source.decoder_config)
    tensors = chain(
        _renamed(own.ENCODER, source.encoder, encoder),
        _renamed(own.DECODER, source.decoder, decoder),
    )
    if target.exists():
        raise CacheUnwritable(f"{target} is there already; remove it, or choose another folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as work:
            folder = Path(work, target.name)
            folder.mkdir()
            _write_shards(folder, _cast(tensors, dtype), shard_bytes, _size(source), report)
            shutil.copyfile(source.path / TOKENIZER, folder / TOKENIZER)
            own.write_fields(folder, source.encoder_config, source.decoder_config, source.control)
            folder.rename(target)
    except (OSError, SafetensorError) as error:  # the latter hides what the system said
        raise CacheUnwritable(f"cannot write {target}: {error}") from error


def _renamed(prefix: str, part: Part, module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in part.tensors(shapes_of(module)):
        yield prefix + name, tensor


def _cast(
    tensors: Iterator[tuple[str, Tensor]], dtype: torch.dtype | None
) -> Iterator[tuple[str, Tensor, int]]:
    """Yield name, tensor in memory of its own, and how many bytes of the source it was."""
    for name, tensor in tensors:
        yield name, tensor.to(dtype or tensor.dtype, copy=True).contiguous(), tensor.nbytes


def _write_shards(
    folder: Path,
    tensors: Iterator[tuple[str, Tensor, int]],
    shard_bytes: int,
    total_bytes: int,
    report: Report,
) -> None:
    """Fill one file after the other. Their number is known at the end, so they are named then."""
    shard: dict[str, Tensor] = {}
    shards: list[tuple[Path, list[str]]] = []
    done_bytes = written_bytes = 0

    def close() -> None:
        file = folder / f"{len(shards)}.part"
        save_file(shard, file, metadata={"format": "pt"})
        shards.append((file, list(shard)))
        shard.clear()

    report(0, total_bytes)
    for name, tensor, source_bytes in tensors:
        size = sum(held.nbytes for held in shard.values())
        if shard and size + tensor.nbytes > shard_bytes:
            close()
        shard[name] = tensor
        done_bytes += source_bytes
        written_bytes += tensor.nbytes
        report(done_bytes, total_bytes)
    close()
    weight_map: dict[str, str] = {}
    for number, (file, names) in enumerate(shards, start=1):
        final = f"model-{number:05}-of-{len(shards):05}.safetensors"
        file.rename(folder / final)
        weight_map |= dict.fromkeys(names, final)
    index = {"metadata": {"total_size": written_bytes}, "weight_map": weight_map}
    (folder / INDEX).write_text(json.dumps(index, indent=1))


def _size(source: Checkpoint) -> int:
    parts = (source.encoder, source.decoder)
    return sum(stored.size_bytes for part in parts for stored in part.weights.stored.values())
