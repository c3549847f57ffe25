"""`soundflow corpus build|check|page|tasks`: corpora of streams, made from recordings.

`build` makes one, or goes on with one that was ended; `check` says what is wrong with it; `page`
writes a page to listen to it; `tasks` lists the sub-tasks.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from soundflow.audio import AudioError
from soundflow.cascade.whisper_model import WhisperError
from soundflow.checkpoint import CheckpointError
from training.corpora.build import build, recipe
from training.corpora.checking import problems
from training.corpora.listening import chosen, page
from training.corpora.shards import Figures
from training.corpora.workers import Kind, preferred, workers
from training.curation.recordings import Split
from training.speech.voices import VoiceError
from training.tasks.table import SHARES, TABLE

LISTENING = "listening.html"
STREAMS_OF_A_SHARD = 50
# How much audio StreamAudio has, in hours.
PUBLISHED_H = 300_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 1 where a corpus is broken, or something is missing."""
    given = _parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except (
        *(AudioError, CheckpointError, OSError, ValueError, VoiceError, WhisperError),
    ) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _build(given: argparse.Namespace) -> int:
    made = recipe(
        given.material,
        given.split,
        given.streams,
        given.per_shard,
        given.seed,
        given.task,
        given.checked,
    )
    start_s = time.monotonic()
    figures = build(given.folder, made, workers(given.workers, given.processes, given.address))
    print("\n".join(_told(figures, time.monotonic() - start_s)))
    return 0


def _check(given: argparse.Namespace) -> int:
    found = 0
    for folder in given.folder:
        for problem in problems(folder):
            print(f"{folder}: {problem}")
            found += 1
    print(f"{found} problems" if found else "sound", file=sys.stderr)
    return int(found > 0)


def _page(given: argparse.Namespace) -> int:
    to = given.to or given.folder / LISTENING
    to.write_text(page(given.folder, chosen(given.folder, given.most)), encoding="utf-8")
    print(to)
    return 0


def _tasks(_: argparse.Namespace) -> int:
    for ability, share in SHARES.items():
        names = ", ".join(task.name for task in TABLE if task.ability is ability)
        print(f"{share:4.1f} %  {ability}: {names}")
    return 0


def _told(figures: Figures, wall_s: float) -> list[str]:
    """Say what was built, and what it took."""
    rows = [f"{'sub-task':<16}{'streams':>8}{'minutes':>9}{'responses':>11}"]
    for name, streams in sorted(figures.streams.items()):
        minutes = figures.chunks[name] * 0.4 / 60
        rows.append(f"{name:<16}{streams:>8}{minutes:>9.1f}{figures.responses[name]:>11}")
    rows += [f"dropped {why}: {count}" for why, count in sorted(figures.dropped.items())]
    rows += [f"utterances {how}: {count}" for how, count in sorted(figures.utterances.items())]
    rows.append(f"{figures.streams.total()} streams, {figures.hours:.3f} h")
    if figures.cpu_hours:
        rate = figures.cpu_hours / (figures.cpu_s / 3600)
        rows.append(
            f"{wall_s:.0f} s; {figures.cpu_s:.0f} s of processor: {rate:.1f} h per core-hour; "
            f"{PUBLISHED_H:,} h, as published, would take {PUBLISHED_H / rate:,.0f} core-hours"
        )
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="soundflow corpus", description=__doc__)
    commands = parser.add_subparsers(required=True)
    build_it = commands.add_parser("build", help="build a corpus, or go on with one")
    build_it.set_defaults(run=_build)
    build_it.add_argument("folder", type=Path)
    build_it.add_argument(
        "--material",
        type=Path,
        action="append",
        required=True,
        help="a table of recordings, or of sentences to be read aloud; may be given again",
    )
    build_it.add_argument("--streams", type=int, default=1000)
    build_it.add_argument("--split", type=Split, choices=list(Split), default=Split.TRAIN)
    build_it.add_argument("--seed", type=int, default=0)
    build_it.add_argument(
        "--task", action="append", default=[], help="a sub-task; all where none is given"
    )
    build_it.add_argument(
        "--checked",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="of the sentences read aloud, how many a recogniser is to understand",
    )
    build_it.add_argument("--per-shard", type=int, default=STREAMS_OF_A_SHARD)
    build_it.add_argument(
        "--workers",
        type=Kind,
        choices=list(Kind),
        default=preferred(),
        help="a Ray Data job, processes, or this process alone; by default %(default)s",
    )
    build_it.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    build_it.add_argument(
        "--address", default="", help="of a Ray cluster, else Ray is started on this machine"
    )
    check_it = commands.add_parser("check", help="say what is wrong with corpora")
    check_it.set_defaults(run=_check)
    check_it.add_argument("folder", type=Path, nargs="+")
    page_it = commands.add_parser("page", help="write a page to listen to a corpus")
    page_it.set_defaults(run=_page)
    page_it.add_argument("folder", type=Path)
    page_it.add_argument("--to", type=Path, help=f"by default {LISTENING} in the folder")
    page_it.add_argument("--most", type=int, default=len(TABLE), help="how many streams")
    commands.add_parser("tasks", help="list the sub-tasks").set_defaults(run=_tasks)
    return parser


if __name__ == "__main__":
    sys.exit(main())
