"""A whole corpus: its shards built side by side, then joined into the files that training reads.

A build that was ended goes on where it was: what it gives is the same to the byte.
"""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from training.composition.saved import AUDIO
from training.corpora.shards import FIGURES, SHARDS, Figures, Order, Recipe, build_shard
from training.corpora.workers import Workers
from training.curation.recordings import Split
from training.data import KINDS
from training.speech.voices import VoiceError, installed_voices
from training.tasks.table import named
from training.whole import PART, written_whole

RECIPE = "corpus.json"


class RecipeChanged(ValueError):
    """There is a corpus already, and it was made otherwise."""


def recipe(
    material: Sequence[Path],
    split: Split,
    streams: int,
    per_shard: int,
    seed: int,
    tasks: Sequence[str],
    checked_share: float = 1.0,
) -> Recipe:
    """Say what a corpus is to be made from. ValueError for unknown sub-tasks, OSError."""
    if streams < 1 or per_shard < 1:
        raise ValueError(f"streams are counted from 1 on, got {streams} in shards of {per_shard}")
    try:
        voices = tuple(voice.name for voice in installed_voices())
    except VoiceError:
        voices = ()  # enough for what is recorded; else whoever speaks first says so
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in material)).hexdigest()
    names = tuple(task.name for task in named(tasks))
    tables = tuple(path.resolve() for path in material)  # whoever builds may stand elsewhere
    return Recipe(*(streams, per_shard, split, seed, names, voices, tables, digest, checked_share))


def build(folder: Path, made: Recipe, workers: Workers) -> Figures:
    """Build a corpus, or what is missing of it, and return its figures. RecipeChanged.

    What `build_shard` raises is raised; what is done stays done.
    """
    (folder / SHARDS).mkdir(parents=True, exist_ok=True)
    _keep(folder / RECIPE, made.written())
    orders = [Order(folder.resolve(), made, shard) for shard in range(made.shards)]
    figures = Figures.none()
    with tqdm(total=made.streams, desc="streams", unit="", dynamic_ncols=True) as bar:
        for number, of_shard in enumerate(workers.each(build_shard, orders), 1):
            figures.add(of_shard)
            bar.update(min(number * made.per_shard, made.streams) - bar.n)
            bar.set_postfix_str(f"{figures.hours:.2f} h")
    for kind in KINDS:
        _join(folder / f"{kind}.jsonl", [order.place / f"{kind}.jsonl" for order in orders])
    for left in (folder / SHARDS).glob(f"*{PART}"):
        shutil.rmtree(left)
    for unfinished in (folder / AUDIO).rglob(f"*{PART}"):
        unfinished.unlink(missing_ok=True)
    (folder / FIGURES).write_text(figures.written(), encoding="utf-8")
    return figures


def _keep(path: Path, recipe_text: str) -> None:
    if not path.is_file():
        with written_whole(path) as part:
            part.write_text(recipe_text, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != recipe_text:
        raise RecipeChanged(f"{path} tells of another corpus: build this one into another folder")


def _join(path: Path, pieces: Sequence[Path]) -> None:
    """Join files, in one step; none where there is no piece."""
    there = [piece for piece in pieces if piece.is_file()]
    if not there:
        return
    with written_whole(path) as part, part.open("wb") as joined:
        for piece in there:
            with piece.open("rb") as file:
                shutil.copyfileobj(file, joined)
