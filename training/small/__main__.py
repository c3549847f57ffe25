"""`python -m training.small RUN --hearing CORPUS… --listening CORPUS… --dev CORPUS`.

Trains the small model from corpora to a checkpoint. Given the same again, it goes on where it was
left.
"""

import argparse
import sys
from pathlib import Path

from soundflow.audio import AudioError
from soundflow.checkpoint import CheckpointError
from training.corpora.workers import Beside
from training.learning.loop import PlanChanged
from training.small.recipe import Recipe, make
from training.stages import HEARING, SMALL


def main() -> None:
    """Train; say in a line what is wrong with what was given."""
    given = _parser().parse_args()
    recipe = Recipe(
        run=given.run,
        hearing=tuple(given.hearing),
        listening=tuple(given.listening),
        dev=given.dev,
        hearing_steps=given.hearing_steps,
        steps=given.steps,
    )
    try:
        make(recipe, Beside(given.processes))
    except (AudioError, CheckpointError, PlanChanged, ValueError) as error:
        sys.exit(f"error: {error}")
    print(recipe.model)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.small", description=__doc__)
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--hearing", type=Path, nargs="+", required=True, help="for the adapter")
    parser.add_argument("--listening", type=Path, nargs="+", required=True, help="for the rest")
    parser.add_argument("--dev", type=Path, required=True, help="nothing is learnt from it")
    parser.add_argument("--hearing-steps", type=int, default=HEARING.steps)
    parser.add_argument("--steps", type=int, default=SMALL.steps)
    parser.add_argument("--processes", type=int, default=2, help="that listen to streams")
    return parser


if __name__ == "__main__":
    main()
