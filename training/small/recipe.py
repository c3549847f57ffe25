"""The recipe of the small model, step after step; each goes on where it was left.

1. `start`: a tokenizer, and a checkpoint with pretrained ears and random weights behind them.
2. `features`: what the frozen half of the ears hears of all streams.
3. `ears`: the adapter learns to spell (stage `hearing`); letters and sounds are made louder.
4. `adapted`: what the adapter makes of the streams that the language model learns from.
5. `listening`: projection and language model learn to answer (stage `small`).
6. `model`: the last checkpoint, with weights of 16 bits.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from soundflow.checkpoint.convert import convert
from soundflow.checkpoint.folder import TOKENIZER, open_checkpoint
from soundflow.checkpoint.start import write_start
from soundflow.unified.config import DecoderConfig
from soundflow.unified.loading import settings_for
from soundflow.unified.small_tower import SmallTower, SmallTowerConfig
from training.composition.rows import Row, read_rows
from training.composition.sequence import Parts
from training.corpora.workers import Workers
from training.data import JOINED_SCENES, Layout, files_of
from training.learning.example import Source
from training.learning.loop import Keeping, open_network, train
from training.learning.plan import Plan
from training.learning.processes import joined
from training.learning.saving import newest_of, write_network
from training.small import alphabet, changes, hearing
from training.small.features import cache
from training.small.streams import HeardFiles, HeardSource, adapt, by_kind
from training.stages import HEARING, SMALL
from training.whole import PART

DECODER = DecoderConfig(
    layers=4,
    width=256,
    heads=4,
    kv_heads=4,
    head_width=64,
    ffn=704,
    vocabulary=alphabet.vocabulary(),
    rope_base=10_000.0,
    max_positions=2048,
    qkv_bias=False,
)
PIECE = 4  # examples of one forward
# Beside 640 numbers that are mostly above 1, chances from 0 to 1 would go unnoticed for long.
CHANCE_GAIN = 30.0
# Streams that say how far the stage is.
HELD_OUT = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What the model is made from, and where.

    hearing, listening: the corpora of either stage. They may share some, as long as the adapter
    spells what it has learnt from hardly better than what it has not; else the language model
    would trust it too much.
    dev: those of which nothing is learnt. every: steps between two savings.
    tower, decoder: other shapes than the published checkpoint's, for tests.
    """

    run: Path
    hearing: tuple[Path, ...]
    listening: tuple[Path, ...]
    dev: tuple[Path, ...]
    hearing_steps: int = HEARING.steps
    steps: int = SMALL.steps
    batch: int = SMALL.batch
    every: int = 250
    seed: int = 0
    tower: SmallTowerConfig = SmallTowerConfig(letters=1 + len(alphabet.LETTERS))
    decoder: DecoderConfig = DECODER

    @property
    def start(self) -> Path:
        """The checkpoint that all begins from."""
        return self.run / "start"

    @property
    def ears(self) -> Path:
        """The checkpoint whose adapter has learnt."""
        return self.run / "ears"

    @property
    def model(self) -> Path:
        """The checkpoint that is published."""
        return self.run / "model"


def make(recipe: Recipe, workers: Workers) -> None:
    """Go through all steps. CheckpointError, RowError, AudioError, FloatingPointError."""
    make_start(recipe)
    dev = listen(recipe, recipe.dev, workers)
    teach_ears(recipe, listen(recipe, recipe.hearing, workers), dev)
    heard = adapted(recipe, listen(recipe, recipe.listening, workers))
    publish(recipe, teach_model(recipe, heard, adapted(recipe, dev)))


def make_start(recipe: Recipe) -> None:
    """Make the checkpoint to begin from. CheckpointError, RowError."""
    if recipe.start.exists():
        return
    tokenizer = recipe.run / TOKENIZER
    recipe.run.mkdir(parents=True, exist_ok=True)
    alphabet.tokenizer_of(_texts(recipe.hearing)).save(str(tokenizer))
    control = alphabet.control_tokens()
    write_start(recipe.start, tokenizer, control, recipe.decoder, recipe.tower, seed=recipe.seed)


def listen(recipe: Recipe, corpora: Sequence[Path], workers: Workers) -> list[Path]:
    """Have corpora heard by the frozen half; return the streams' files, in order."""
    return [
        path
        for corpus in corpora
        for path in cache(corpus, recipe.start, recipe.run / "features" / corpus.name, workers)
    ]


def teach_ears(recipe: Recipe, streams: Sequence[Path], dev: Sequence[Path]) -> None:
    """Train the adapter, and write the checkpoint that has it. FloatingPointError."""
    if recipe.ears.exists():
        return
    network = open_network(recipe.start)
    tower = _small(network.encoder)
    plan = hearing.HearingPlan(steps=recipe.hearing_steps, every=recipe.every, seed=recipe.seed)
    hearing.learn(
        tower,
        hearing.spoken_of(streams, JOINED_SCENES),
        hearing.spoken_of(dev, JOINED_SCENES),
        plan,
        recipe.run / "hearing",
    )
    with torch.no_grad():
        first = tower.get_parameter("proj.0.weight")
        first[:, -tower.config.chances :] *= CHANCE_GAIN
    partial = recipe.ears.with_suffix(PART)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    checkpoint = open_checkpoint(recipe.start)
    write_network(partial, network, network.state_dict(), checkpoint.control)
    shutil.copyfile(recipe.start / TOKENIZER, partial / TOKENIZER)
    partial.rename(recipe.ears)


def adapted(recipe: Recipe, streams: Sequence[Path]) -> list[HeardFiles]:
    """Send streams through the adapter."""
    tower = _small(open_checkpoint(recipe.ears).make_encoder(torch.float32))
    return adapt(tower.eval(), streams, recipe.run / "adapted")


def teach_model(recipe: Recipe, files: Sequence[HeardFiles], dev: Sequence[HeardFiles]) -> Path:
    """Train projection and language model; return the last checkpoint."""
    checkpoint = open_checkpoint(recipe.ears)
    layout = Layout(
        Parts(checkpoint.control, checkpoint.read_tokenizer()), settings_for(checkpoint)
    )
    varied = (changes.audible, changes.swapped, changes.overheard, changes.masked)
    sources: dict[str, Source] = {
        kind: HeardSource(of_kind, layout, changes=varied, seed=recipe.seed)
        for kind, of_kind in by_kind(files, JOINED_SCENES).items()
    }
    held_out: dict[str, Source] = {
        kind: HeardSource(of_kind, layout, variants=1)
        for kind, of_kind in by_kind(dev, JOINED_SCENES).items()
    }
    plan = Plan(
        stage=SMALL,
        start=recipe.ears,
        steps=recipe.steps,
        batch=recipe.batch,
        piece=min(PIECE, recipe.batch),
        seed=recipe.seed,
    )
    folder = recipe.run / "listening"
    keeping = Keeping(folder=folder, every=recipe.every, kept=3, held_out=HELD_OUT)
    with joined() as processes:
        train(plan, sources, keeping, processes, held_out=held_out)
    newest = newest_of(folder)
    assert newest is not None  # the last step is always kept
    return newest


def publish(recipe: Recipe, checkpoint: Path) -> None:
    """Write the model in 16 bits. CheckpointError."""
    shutil.rmtree(recipe.model, ignore_errors=True)
    convert(open_checkpoint(checkpoint), recipe.model, dtype=torch.float16)


def _texts(corpora: Sequence[Path]) -> Iterator[str]:
    for corpus in corpora:
        for path in files_of(corpus).values():
            for row in read_rows(path):
                if isinstance(row, Row):
                    yield from (turn.assistant for turn in row.turns if not turn.is_silent)


def _small(tower: object) -> SmallTower:
    if not isinstance(tower, SmallTower):
        raise ValueError(f"not a small tower: {type(tower).__name__}")
    return tower
