"""`soundflow models`: fetch, list and check the weights."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from services.cli.errors import CliError
from services.cli.settings import read_settings
from services.inference.config import InferenceConfig
from soundflow.checkpoint import (
    SHIPPED,
    CheckpointError,
    FetchProgress,
    ModelDamaged,
    ModelMissing,
    Report,
    Step,
    Store,
    default_store,
)
from soundflow.models import DEFAULT_MODEL, Model, load_model

MEGABYTE = 1_000_000
WIDE = 1000  # where nobody watches, a model keeps to one line however long it is


def fetch_models(names: Sequence[str]) -> None:
    """Download what is missing; of the default model where none is named. CheckpointError."""
    store = default_store()
    with _reporting() as report:
        for name in store.expand(*(names or [DEFAULT_MODEL])):
            store.fetch(name, report)


def list_models() -> None:
    """Print every model there is, and whether it is here."""
    store = default_store()
    table = Table("model", "state", box=None, pad_edge=False)
    table.add_column("size", justify="right")
    table.add_column("licence")
    table.add_column("origin")
    for name, entry in store.table.items():
        size = f"{entry.size_bytes / MEGABYTE:.0f} MB"
        table.add_row(name, _state(store, name), size, entry.licence, entry.origin)
    for name, shipped in SHIPPED.items():
        table.add_row(name, _state(store, name), "", shipped.licence, shipped.origin)
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    console.print(table)
    typer.echo(f"\nThey are kept in {store.root}", err=True)


def verify_models(names: Sequence[str]) -> None:
    """Read every byte of the models, of all where none is named. CliError names those that fail."""
    store = default_store()
    failures = []
    for name in store.expand(*(names or store.table)):
        try:
            store.verify(name)
        except CheckpointError as error:
            failures.append(str(error))
        else:
            typer.echo(f"{name}: as published")
    if failures:
        raise CliError("\n".join(failures))


def ready_model(name: str) -> Model:
    """Load a model, after a look whether all its weights are here. CliError."""
    store = default_store()
    members = store.expand(name) if name in store.groups else ()  # the null model has no weights
    try:
        for member in members:
            store.locate(member)
    except CheckpointError as error:
        everything = f"to fetch all of {name}: soundflow models fetch {name}"
        raise CliError(f"{error}; {everything}") from error
    around = read_settings(InferenceConfig).around()
    try:
        with Console(stderr=True).status(f"loading {name}"):
            return load_model(name, around)
    except ValueError as error:  # an unknown name
        raise CliError(str(error)) from error


def _state(store: Store, name: str) -> str:
    try:
        store.locate(name)
    except ModelMissing:
        return "[red]missing[/]"
    except ModelDamaged:
        return "[bold red]damaged[/]"
    return "[green]here[/]"


@contextmanager
def _reporting() -> Iterator[Report]:
    """Show progress on standard error: as bars on a terminal, else a line for each step."""
    if not sys.stderr.isatty():
        yield StepLines().report
        return
    columns = (
        TextColumn("{task.fields[model]:<22}"),
        BarColumn(),
        TextColumn("{task.fields[amount]:>17}  {task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield Bars(progress).report


class StepLines:
    """Writes where a fetch stands whenever that is something new."""

    def __init__(self) -> None:
        self._last: tuple[str, Step] | None = None

    def report(self, progress: FetchProgress) -> None:
        """Write a line for a new step."""
        if (progress.name, progress.step) != self._last:
            typer.echo(f"{progress.name}: {progress.step}", err=True)
        self._last = (progress.name, progress.step)


class Bars:
    """One bar for each model."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def report(self, progress: FetchProgress) -> None:
        """Move the model's bar."""
        if progress.name not in self._tasks:
            self._tasks[progress.name] = self._progress.add_task("", model=progress.name, amount="")
        ready = progress.step is Step.DONE
        self._progress.update(
            self._tasks[progress.name],
            description=str(progress.step),
            amount=_amount(progress),
            completed=1 if ready else progress.done_bytes,
            total=1 if ready else progress.total_bytes or None,
        )


def _amount(progress: FetchProgress) -> str:
    if not progress.total_bytes:
        return ""
    return f"{progress.done_bytes / MEGABYTE:.1f} of {progress.total_bytes / MEGABYTE:.1f} MB"
