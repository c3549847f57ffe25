"""`soundflow rollout`: bring a version of the model to the Triton servers that run."""

import asyncio
from pathlib import Path

import typer

from services.cli.errors import CliError
from services.cli.settings import read_settings
from services.inference.config import InferenceConfig
from services.inference.rollout import roll_out


def run_rollout(
    what: str, repository: Path | None, encoders: str | None, decoders: str | None, settle_s: float
) -> None:
    """Roll out a version by its number, or a checkpoint's folder as the next version."""
    given = {"encoder_addresses": encoders, "decoder_addresses": decoders}
    config = read_settings(InferenceConfig, given)
    version = int(what) if what.isdigit() else _add(Path(what), repository)
    asyncio.run(roll_out(config, version, typer.echo, settle_s=settle_s))


def _add(checkpoint: Path, repository: Path | None) -> int:
    """Put a checkpoint into the repository. CliError, CheckpointError."""
    if repository is None:
        raise CliError(
            f"{checkpoint} is no version's number; --repository names where it is to be put"
        )
    try:
        from training.repository import add
    except ImportError as error:
        raise CliError(
            f"a checkpoint is put in place from a checkout (make install): {error}"
        ) from error
    version = add(checkpoint, repository)
    typer.echo(f"{checkpoint} is version {version} of {repository}")
    return version
