"""The commands: `python -m stack fetch|up|ps|down`."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from soundflow.checkpoint import SHIPPED
from soundflow.models import is_checkpoint
from stack.errors import StackError
from stack.fetch import NEEDS, fetch_all
from stack.parts import Parts
from stack.platform import Platform, ports_of
from stack.settings import MOST, StackSettings

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

DEFAULTS = StackSettings()
WIDE = 120  # where nobody watches, each part keeps to one line

Folder = Annotated[Path, typer.Option(help="Of its settings, data and logs.")]


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
    if unknown := [name for name in names or () if name not in NEEDS]:
        raise typer.BadParameter(f"{', '.join(unknown)}: choose from {', '.join(NEEDS)}")
    failed = fetch_all(names or NEEDS, typer.echo)
    for name, error in failed.items():
        typer.echo(f"{name}: {'skipped: ' if where_possible else ''}{error}", err=True)
    sys.exit(1 if failed and not where_possible else 0)


@app.command()
def up(
    folder: Folder = DEFAULTS.folder,
    model: Annotated[
        str, typer.Option(help="cascade, null, small, or a checkpoint's folder.")
    ] = DEFAULTS.model,
    replicas: Annotated[
        int, typer.Option(min=1, max=MOST, help="Of each service.")
    ] = DEFAULTS.replicas,
    encoders: Annotated[
        int, typer.Option(min=1, max=MOST, help="Triton servers.")
    ] = DEFAULTS.encoders,
    decoders: Annotated[
        int, typer.Option(min=1, max=MOST, help="Triton servers.")
    ] = DEFAULTS.decoders,
    free_ports: Annotated[
        bool, typer.Option(help="Take ports that are free, not those of the table.")
    ] = False,
) -> None:
    """Start the whole platform; when it is up already, say so."""
    settings = replace(
        DEFAULTS,
        folder=folder.resolve(),
        model=_absolute(model),
        replicas=replicas,
        encoders=encoders,
        decoders=decoders,
    )
    platform = Platform.saved(settings.folder)
    if platform is not None and platform.alive:
        typer.echo("It is up already.")
        _show(platform)
    else:
        platform = Platform(Parts(settings.on_free_ports() if free_ports else settings))
        try:
            platform.up(typer.echo)
        except StackError as error:
            sys.exit(f"error: {error}")
    ports = platform.settings.ports
    typer.echo(f"Console:     http://127.0.0.1:{ports['ingestion-0']['http']}/")
    typer.echo(f"Prometheus:  http://127.0.0.1:{ports['prometheus']['http']}/")
    typer.echo(f"Logs:        {platform.settings.logs}")


@app.command()
def ps(folder: Folder = DEFAULTS.folder) -> None:
    """Show every part: its state, process, health and ports."""
    platform = Platform.saved(folder.resolve())
    if platform is None or not platform.alive:
        typer.echo("It is not up.")
    else:
        _show(platform)


@app.command()
def down(folder: Folder = DEFAULTS.folder) -> None:
    """End the whole platform; its data and logs stay."""
    settings = StackSettings.saved(folder.resolve()) or replace(DEFAULTS, folder=folder.resolve())
    Platform(Parts(settings)).down()
    typer.echo("Nothing of it runs.")


def _show(platform: Platform) -> None:
    table = Table("part", "state", "pid", "for", "health", "ports", box=None)
    for one in platform.look():
        state = one.state
        pid = str(state.pid or "")
        health = one.health.splitlines()[0] if one.health else "ok"
        since = _time(state.since_s) if state.pid else ""
        row = (one.server.name, state.state.lower(), pid, since, health)
        table.add_row(*row, ports_of(one.server))
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def _absolute(model: str) -> str:
    """Return a name as it is, and a folder's path as one that is good from anywhere."""
    named = model in SHIPPED or not is_checkpoint(model)
    return model if named else str(Path(model).resolve())


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


if __name__ == "__main__":
    app(prog_name="python -m stack")
