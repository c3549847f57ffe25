"""The commands: `python -m stack fetch`."""

import sys
from typing import Annotated

import typer

from stack.fetch import NEEDS, fetch_all

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


@app.callback()
def stack() -> None:
    """The whole platform on one machine."""


@app.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(help=", ".join(NEEDS))] = None,
    where_possible: Annotated[
        bool, typer.Option(help="Go on without what this machine cannot have.")
    ] = False,
) -> None:
    """Fetch the servers, once, into the user's cache."""
    failed = fetch_all(names or NEEDS, typer.echo)
    for name, error in failed.items():
        typer.echo(f"{name}: {'skipped: ' if where_possible else ''}{error}", err=True)
    sys.exit(1 if failed and not where_possible else 0)


if __name__ == "__main__":
    app(prog_name="python -m stack")
