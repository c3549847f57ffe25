"""Event streams from a table of recordings: planned, grounded, composed, and written as rows.

`python -m training.event_streams TABLE.csv --to FOLDER [--streams 100] [--split train]`
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from soundflow.checkpoint import CheckpointError
from soundflow.interaction import Ability
from soundflow.unified.prompts import STANDARD_PROMPTS
from training.compose import Cue, Role, compose
from training.composition.rows import Row, write_rows
from training.composition.saved import save_stream
from training.composition.timeline import Answer
from training.curation.endpoint_planner import EndpointConfig, EndpointPlanner
from training.curation.events import Grounding, parts_of
from training.curation.recordings import Kind, Split, read_table
from training.curation.retrieval import Library
from training.curation.scenario import GrammarPlanner, Planner, SubEvent
from training.curation.tagging import RememberingTagger, YamnetTagger

SOUNDS = frozenset({Kind.EVENT, Kind.PLACE})
BAG = 20  # annotations that one scenario is planned from
KEY_VARIABLE = "SOUNDFLOW_PLANNER_KEY"


@dataclass(slots=True)
class Maker:
    """Makes streams that tell each sound when it is over. decisions: what grounding came to."""

    grounding: Grounding
    planner: Planner
    decisions: Counter[str] = field(default_factory=Counter)

    def rows(self, folder: Path, seeds: Sequence[int]) -> Iterator[Row]:
        """Make one stream for each seed; none where no foreground sound was found."""
        for seed in seeds:
            row = self.row(folder, seed)
            if row:
                yield row

    def row(self, folder: Path, seed: int) -> Row | None:
        """Make one stream."""
        known = self.grounding.library.annotations()
        rng = np.random.default_rng(seed)
        places = rng.choice(len(known), min(BAG, len(known)), replace=False)
        scenario = self.planner.plan([known[int(place)] for place in places], seed)
        grounded = self.grounding.ground(scenario, self.planner, seed)
        self.decisions.update(step.decision.value for each in grounded for step in each.steps)
        parts = parts_of(scenario, grounded, _described)
        if not parts[Role.FOREGROUND]:
            self.decisions["stream given up"] += 1
            return None
        stream = compose(
            parts[Role.FOREGROUND],
            seed,
            background=parts[Role.BACKGROUND],
            ambient=parts[Role.AMBIENT],
        )
        return save_stream(
            stream,
            folder,
            f"events-{seed:06}",
            scene_type="streaming audio understanding",
            system=STANDARD_PROMPTS[Ability.DESCRIBE],
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Make streams; return the exit status: 1 where none could be made."""
    options = _parser().parse_args(arguments)
    try:
        return _make(options)
    except (CheckpointError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _make(options: argparse.Namespace) -> int:
    sounds = (each.recording for each in read_table(options.table) if each.kind in SOUNDS)
    library = Library.of(sounds, Split(options.split))
    planner = _planner(options)
    maker = Maker(Grounding(library, RememberingTagger(YamnetTagger())), planner)
    options.to.mkdir(parents=True, exist_ok=True)
    seeds = range(options.seed, options.seed + options.streams)
    rows = list(tqdm(maker.rows(options.to, seeds), total=options.streams, unit="stream"))
    write_rows(options.to / "base.jsonl", rows)
    told = ", ".join(f"{count} {name}" for name, count in maker.decisions.most_common())
    print(f"{len(rows)} streams; {told}")
    if isinstance(planner, EndpointPlanner):
        print(f"planning: {planner.spent}")
    return 0 if rows else 1


def _described(event: SubEvent) -> tuple[Cue, ...]:
    return (Cue(Answer(f"I hear {event.sound}.")),)


def _planner(options: argparse.Namespace) -> Planner:
    if not options.planner_url:
        return GrammarPlanner()
    key = os.environ.get(KEY_VARIABLE, "")
    return EndpointPlanner(EndpointConfig(options.planner_url, options.planner_model, key))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.event_streams", description=__doc__.splitlines()[0]
    )
    parser.add_argument("table", type=Path, help="CSV: path, label, source, licence, duration_s")
    parser.add_argument("--to", type=Path, required=True, help="folder for base.jsonl and audio")
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the first stream")
    parser.add_argument("--split", choices=[split.value for split in Split], default="train")
    parser.add_argument(
        "--planner-url",
        default="",
        help=f"an OpenAI-compatible endpoint; its key is read from {KEY_VARIABLE}",
    )
    parser.add_argument("--planner-model", default="", help="the endpoint's model")
    return parser


if __name__ == "__main__":
    sys.exit(main())
