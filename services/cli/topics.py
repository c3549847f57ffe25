"""`soundflow topics`: make Kafka's topics, check them, show lag, and send messages again."""

import dataclasses
import json
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from services.cli.errors import FAILED, CliError, told_plainly

if TYPE_CHECKING:
    from services.transport.kafka.admin import Lag
    from services.transport.kafka.config import KafkaConfig

WIDE = 1000  # where nobody watches, a row keeps to one line however long it is

app = typer.Typer(no_args_is_help=True, help="Administer the topics of a cluster's Kafka.")

Brokers = Annotated[
    str | None,
    typer.Option(help="host:port, several with commas.", envvar="SOUNDFLOW_KAFKA_BROKERS"),
]
Prefix = Annotated[
    str | None,
    typer.Option(help="Before each topic's name.", envvar="SOUNDFLOW_TOPIC_PREFIX"),
]
Partitions = Annotated[
    int | None,
    typer.Option(min=1, help="Of every topic.", envvar="SOUNDFLOW_KAFKA_PARTITIONS"),
]
Replication = Annotated[int, typer.Option(min=1, help="Copies of each partition.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a line, nothing else.")]


@app.command(epilog="Example: soundflow topics create --replication 3")
def create(
    brokers: Brokers = None,
    prefix: Prefix = None,
    partitions: Partitions = None,
    replication: Replication = 1,
    as_json: AsJson = False,
) -> None:
    """Make the topics that are missing, and bring the settings of the others in line."""
    with told_plainly():
        config = _config(brokers, prefix, partitions)
        from services.transport.kafka.admin import topic_admin

        with topic_admin(config) as admin:
            made = admin.create(replication)
        _show([{"topic": topic, "state": str(state)} for topic, state in made.items()], as_json)


@app.command(epilog="Example: soundflow topics check --replication 3")
def check(
    brokers: Brokers = None,
    prefix: Prefix = None,
    partitions: Partitions = None,
    replication: Replication = 1,
    as_json: AsJson = False,
) -> None:
    """Show what is not as it should be; exit code 1 where anything is not."""
    with told_plainly():
        config = _config(brokers, prefix, partitions)
        from services.transport.kafka.admin import topic_admin

        with topic_admin(config) as admin:
            differences = admin.check(replication)
        _show([dataclasses.asdict(difference) for difference in differences], as_json)
        if differences:
            raise typer.Exit(FAILED)
        if not as_json:
            typer.echo("all topics are as they should be")


@app.command(epilog="Example: soundflow topics lag --by-partition")
def lag(
    brokers: Brokers = None,
    prefix: Prefix = None,
    by_partition: Annotated[
        bool, typer.Option("--by-partition", help="A row for each partition.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how many messages each consumer group has not finished."""
    with told_plainly():
        config = _config(brokers, prefix)
        from services.transport.kafka.admin import topic_admin

        with topic_admin(config) as admin:
            lags = admin.lag()
        rows = [dataclasses.asdict(each) for each in lags] if by_partition else _summed(lags)
        _show(rows, as_json)


@app.command(epilog="Example: soundflow topics replay --dry-run")
def replay(
    brokers: Brokers = None,
    prefix: Prefix = None,
    partitions: Partitions = None,
    topic: Annotated[
        str | None,
        typer.Option(help="Send this topic's own messages again instead: its name, no prefix."),
    ] = None,
    last_minutes: Annotated[float, typer.Option(min=0, help="With --topic: how far back.")] = 10.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send dead letters back to their topics: those that were not sent back before."""
    with told_plainly():
        config = _config(brokers, prefix, partitions)
        from services.transport.kafka.replay import Replay

        replay = Replay(config, dry_run=dry_run)
        if topic is None:
            replayed = replay.dead_letters()
        else:
            replayed = replay.topic(_known(topic), time.time() - 60 * last_minutes)
        _show((dataclasses.asdict(each) for each in replayed), as_json)


def _config(
    brokers: str | None, prefix: str | None, partitions: int | None = None
) -> "KafkaConfig":
    try:
        from services.transport.kafka.config import KafkaConfig
    except ModuleNotFoundError as error:
        raise CliError(f"{error.name} is missing; install soundflow[cluster]") from error
    from services.cli.settings import read_settings

    given = {"kafka_brokers": brokers, "topic_prefix": prefix, "kafka_partitions": partitions}
    return read_settings(KafkaConfig, given)


def _known(topic: str) -> str:
    from services.core.wire import TOPICS

    names = [known.name for known in TOPICS]
    if topic not in names:
        raise CliError(f"there is no topic {topic!r}; it is one of {', '.join(names)}")
    return topic


def _summed(lags: "Sequence[Lag]") -> list[dict[str, Any]]:
    """Return a row for each group and topic."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for each in lags:
        row = rows.setdefault(
            (each.group, each.topic),
            {"group": each.group, "topic": each.topic, "partitions": 0, "lag": 0, "worst": 0},
        )
        row["partitions"] += 1
        row["lag"] += each.lag
        row["worst"] = max(row["worst"], each.lag)
    return list(rows.values())


def _show(rows: Iterable[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
        return
    listed = list(rows)
    if not listed:
        return
    table = Table(box=None, pad_edge=False)
    for name, value in listed[0].items():
        table.add_column(name, justify="right" if isinstance(value, int) else "left")
    for row in listed:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)
