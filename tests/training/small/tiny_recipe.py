"""The recipe with tiny shapes: `python -m tests.training.small.tiny_recipe FOLDER`."""

import argparse
import os
import signal
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from unittest.mock import patch

import torch

from tests.training.small.material import DECODER, TOWER
from training.corpora.workers import Here
from training.learning.journal import Journal
from training.small import recipe as made

STEPS = 5


def run(folder: Path) -> Path:
    """Go through all of it, from wherever it was left; return the published checkpoint."""
    torch.set_num_threads(1)
    recipe = made.Recipe(
        run=folder / "run",
        hearing=(folder / "corpus",),
        listening=(folder / "corpus",),
        dev=(folder / "dev",),
        hearing_steps=STEPS,
        steps=STEPS,
        batch=4,
        every=2,
        tower=TOWER,
        decoder=DECODER,
    )
    made.make(recipe, Here())
    return recipe.model


def main() -> None:
    """Go through it, and be killed when so many lines have been told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kill-after", type=int)
    given = parser.parse_args()
    tell, steps = Journal.tell, count(1)

    def tell_and_die(journal: Journal, step: int, values: Mapping[str, float]) -> None:
        tell(journal, step, values)
        if next(steps) == given.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    with patch.object(Journal, "tell", tell_and_die):
        run(given.folder)


if __name__ == "__main__":
    main()
