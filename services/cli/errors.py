"""How a command fails: one clear line on standard error, a fitting exit code, no traceback."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

FAILED = 1
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
PIPE_CLOSED = 141  # 128 + SIGPIPE


class CliError(Exception):
    """What went wrong and what to do about it, in words for the person at the terminal."""


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn every error that a user can cause or meet into its line and exit code.

    What is left over is a bug, and shows its traceback.
    """
    from services.core.errors import SoundFlowError  # here, so that `--help` stays quick
    from soundflow.audio import AudioError
    from soundflow.checkpoint import CheckpointError

    try:
        yield
    except BaseException as raised:
        match _cause(raised):
            case BrokenPipeError():
                _forget_stdout()
                raise typer.Exit(PIPE_CLOSED) from None
            case KeyboardInterrupt() | asyncio.CancelledError():
                raise typer.Exit(INTERRUPTED) from None
            case CliError() | AudioError() | CheckpointError() | SoundFlowError() as error:
                typer.echo(f"soundflow: {error}", err=True)
                raise typer.Exit(FAILED) from None
            case typer.Exit() as leaving:
                raise leaving from None
        raise


def _cause(raised: BaseException) -> BaseException:
    """Unwrap what a group of tasks put around the one error that ended it."""
    while isinstance(raised, BaseExceptionGroup) and len(raised.exceptions) == 1:
        raised = raised.exceptions[0]
    return raised


def _forget_stdout() -> None:
    """Let the interpreter's last flush go nowhere: nobody reads standard output any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
