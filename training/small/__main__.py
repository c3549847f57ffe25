"""`python -m training.small RUN --material TABLE …`: from recordings and sentences to the model.

It builds the corpora, then goes through the recipe. Given the same again, it goes on where it was
left. On 2 cores it takes hours.
"""

import argparse
import sys
from pathlib import Path

from soundflow.audio import AudioError
from soundflow.checkpoint import CheckpointError
from training.corpora.workers import Beside
from training.learning.loop import PlanChanged
from training.small import corpora
from training.small.recipe import Recipe, make
from training.stages import HEARING, SMALL


def main() -> None:
    """Train; say in a line what is wrong with what was given."""
    given = _parser().parse_args()
    workers = Beside(given.processes)
    folder = given.run / "corpora"
    try:
        hearing, listening, dev = (
            tuple(corpus.built(folder, given.material, workers) for corpus in some)
            for some in (corpora.HEARING, corpora.LISTENING, corpora.DEV)
        )
        recipe = Recipe(
            run=given.run,
            hearing=hearing,
            listening=listening,
            dev=dev,
            hearing_steps=given.hearing_steps,
            steps=given.steps,
        )
        make(recipe, workers)
    except (AudioError, CheckpointError, OSError, PlanChanged, ValueError) as error:
        sys.exit(f"error: {error}")
    print(recipe.model)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.small", description=__doc__)
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument(
        "--material",
        type=Path,
        action="append",
        required=True,
        help="a table of recordings, or of sentences to be read aloud; may be given again",
    )
    parser.add_argument("--hearing-steps", type=int, default=HEARING.steps)
    parser.add_argument("--steps", type=int, default=SMALL.steps)
    parser.add_argument("--processes", type=int, default=2, help="that build and listen")
    return parser


if __name__ == "__main__":
    main()
