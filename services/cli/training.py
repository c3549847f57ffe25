"""`soundflow corpus` and `soundflow evaluate`: training's own commands, where it is installed."""

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated

import typer

from services.cli.errors import CliError, told_plainly

# What follows is read by the command itself, its `--help` too.
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
# Of the extra `train`, one package that nothing else brings.
NEEDED = ("training", "jiwer")

Arguments = Annotated[
    list[str] | None, typer.Argument(metavar="[ARGUMENT]...", help="`--help` lists them.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(context_settings=PASSED_ON, epilog="Example: soundflow corpus page data/corpus")(
        corpus
    )
    app.command(
        context_settings=PASSED_ON,
        epilog="Example: soundflow evaluate cascade --to report --held-out data/held-out",
    )(evaluate)


def corpus(arguments: Arguments = None) -> None:
    """Build a corpus of training streams, check it, listen to it: build, check, page, tasks."""
    _run("training.corpus", arguments or ["--help"])


def evaluate(arguments: Arguments = None) -> None:
    """Play benchmarks to a model, and write what it does as one JSON and one page."""
    _run("training.evaluate", arguments or ["--help"])


def _run(module: str, arguments: Sequence[str]) -> None:
    """Run a command of training's, which stays out of the services: imported here alone."""
    with told_plainly():
        if missing := [name for name in NEEDED if not find_spec(name)]:
            raise CliError(
                f"{' and '.join(missing)} not found: this is done from a checkout of the "
                "repository, with the extra `train` (make install)"
            )
        main: Callable[[Sequence[str]], int | None] = import_module(module).main
        raise typer.Exit(main(arguments) or 0)
