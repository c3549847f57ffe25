"""The held-out set: recordings that neither the cascade was tuned on nor any model has learnt from.

`python -m bench.held_out` writes it to `data/held-out/`, in the form that
`training.evaluation.held_out` reads. Held out is what training's table of material has in its test
split, or not at all; of the sounds that are to be warned of or passed over, only what `sounds.csv`
has for tests, too, as the cascade's thresholds were chosen on the others.
"""

import csv
import shutil
from pathlib import Path

from bench import corpus_material, held_out_sounds, held_out_speech, sounds_data
from bench.held_out_set import HeldOut
from training.curation.recordings import Split, read_table
from training.evaluation.held_out import SOURCE_COLUMNS, SOURCES

FOLDER = corpus_material.ROOT / "held-out"


def main() -> None:
    """Write the set; in place only when it is whole."""
    sounds_data.fetch()
    learnt = _learnt(corpus_material.TABLE)
    unfinished = FOLDER.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    made = HeldOut(unfinished, learnt)
    held_out_sounds.write(made)
    held_out_speech.write(made)
    with (unfinished / SOURCES).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([SOURCE_COLUMNS, *made.sources])
    shutil.rmtree(FOLDER, ignore_errors=True)
    unfinished.rename(FOLDER)
    print(f"{FOLDER}: {len(made.sources)} items, {made.seconds / 60:.0f} minutes")


def _learnt(table: Path) -> frozenset[str]:
    """Return the sources of all that models may have learnt from, or been chosen by."""
    recordings = (entry.recording for entry in read_table(table))
    return frozenset(each.source for each in recordings if each.split is not Split.TEST)


if __name__ == "__main__":
    main()
