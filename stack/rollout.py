"""A checkpoint on the platform that runs on this machine: `python -m stack.rollout CHECKPOINT`."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from services.core.errors import SoundFlowError
from services.inference.config import InferenceConfig
from services.inference.rollout import Report, roll_out
from soundflow.checkpoint import CheckpointError
from stack.parts import Parts
from stack.platform import Platform
from stack.settings import StackSettings
from training.repository import add


def roll_out_on(parts: Parts, checkpoint: Path, report: Report) -> int:
    """Make a checkpoint the next version of what the parts serve, and return its number.

    CheckpointError, RolloutFailed.
    """
    version = add(checkpoint, parts.model_repository)
    report(f"{checkpoint} is version {version} of {parts.model_repository}")
    addresses = {
        f"{kind}_addresses": ",".join(one.address for one in parts.tritons if kind in one.models)
        for kind in ("encoder", "decoder")
    }
    asyncio.run(roll_out(InferenceConfig.model_validate(addresses), version, report))
    return version


FOLDER = StackSettings().folder


def main(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint's folder.")],
    folder: Annotated[Path, typer.Option(help="The platform's.")] = FOLDER,
) -> None:
    """Have the platform that is up change over to a checkpoint, while calls go on."""
    platform = Platform.saved(folder.resolve())
    if platform is None or not platform.alive:
        sys.exit("error: it is not up")
    try:
        roll_out_on(platform.parts, checkpoint, typer.echo)
    except (CheckpointError, SoundFlowError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    typer.run(main)
