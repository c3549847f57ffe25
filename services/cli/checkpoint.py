"""`soundflow checkpoint`: look into a unified model's folder, and write it as our own."""

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.errors import CliError, told_plainly

if TYPE_CHECKING:
    from soundflow.checkpoint.folder import Checkpoint
    from soundflow.checkpoint.placing import Part

MILLION = 1_000_000

app = typer.Typer(
    no_args_is_help=True, help="Look into a checkpoint's folder, or write it as SoundFlow's own."
)

Folder = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER", help="As published, of SoundFlow's own form, or a stock Qwen2.5-Omni."
    ),
]


@app.command(epilog="Example: soundflow checkpoint inspect checkpoints/audiointeraction")
def inspect(folder: Folder) -> None:
    """Compare every tensor's name, shape and type with what the model needs, and sum them up."""
    with told_plainly():
        from soundflow.checkpoint import open_checkpoint

        checkpoint = open_checkpoint(folder)
        checkpoint.verify()
        for name, value in _summary(checkpoint):
            typer.echo(f"{name:<9} {value}")


@app.command(epilog="Example: soundflow checkpoint convert Qwen2.5-Omni-3B checkpoints/start")
def convert(
    folder: Folder,
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="A folder that is not there.")],
    precision: Annotated[
        str, typer.Option(help="float32, bfloat16 or float16; as it is stored, if not given.")
    ] = "",
) -> None:
    """Write SoundFlow's own form: safetensors, soundflow.json with all numbers, tokenizer.json."""
    with told_plainly():
        if precision not in ("", "float32", "bfloat16", "float16"):
            raise CliError(f"--precision is float32, bfloat16 or float16, not {precision}")
        from soundflow.checkpoint import open_checkpoint

        checkpoint = open_checkpoint(folder)
        _convert(checkpoint, target, precision)
        typer.echo(f"{target}: written and complete")


def _convert(checkpoint: "Checkpoint", target: Path, precision: str) -> None:
    import torch
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from soundflow.checkpoint.convert import convert as write

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        bar = progress.add_task("writing")
        write(
            checkpoint,
            target,
            dtype=getattr(torch, precision) if precision else None,
            report=lambda done, total: progress.update(bar, completed=done, total=total),
        )


def _summary(checkpoint: "Checkpoint") -> list[tuple[str, str]]:
    from soundflow.unified.small_tower import SmallTowerConfig
    from soundflow.unified.sound_groups import SOUND_GROUPS

    encoder, decoder = checkpoint.encoder_config, checkpoint.decoder_config
    context = f", {encoder.context_chunks} chunks of context" if encoder.context_chunks else ""
    if isinstance(encoder, SmallTowerConfig):
        context += (
            f", {encoder.lookahead_chunks} chunk late; behind it {encoder.adapter_blocks} blocks "
            f"of {encoder.adapter_width} and {encoder.letters} letters, beside it "
            f"{len(SOUND_GROUPS)} groups of sounds"
        )
    return [
        ("folder", str(checkpoint.path)),
        ("form", str(checkpoint.kind)),
        (
            "encoder",
            f"{encoder.layers} layers of {encoder.width}, {encoder.heads} heads, "
            f"{encoder.mels} mels{context}; {_weights(checkpoint.encoder)}",
        ),
        (
            "decoder",
            f"{decoder.layers} layers of {decoder.width}, {decoder.heads} heads on "
            f"{decoder.kv_heads}, {decoder.vocabulary} tokens, {decoder.max_positions} positions; "
            f"{_weights(checkpoint.decoder)}",
        ),
        (
            "control",
            f"silent {checkpoint.control.silence}, respond {checkpoint.control.text_begin}, "
            f"end of text {checkpoint.control.text_end}",
        ),
        ("verdict", "every tensor is there, in its shape"),
    ]


def _weights(part: "Part") -> str:
    stored = part.weights.stored.values()
    numbers = sum(math.prod(one.shape) for one in stored)
    kinds = Counter(str(one.dtype).removeprefix("torch.") for one in stored)
    size = sum(one.size_bytes for one in stored)
    return f"{numbers / MILLION:.1f} M numbers as {', '.join(kinds)}, {size / MILLION:.1f} MB"
