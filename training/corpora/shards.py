"""One shard of a corpus: streams by their numbers, each from the corpus's seed and its own number.

A shard is the same whoever builds it, and whenever; it is there as a whole or not at all.
"""

import json
import resource
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from soundflow.audio import CHUNK_MS
from training.composition.rows import Row, write_rows
from training.composition.saved import save_stream
from training.corpora.material import MaterialMissing, read_material
from training.curation.recordings import Split
from training.curation.tfjp import UnusableClipError
from training.data import KINDS
from training.synth import Booth, NotUnderstood
from training.tasks.plan import Plan, Studio
from training.tasks.table import SubTask, drawn, named
from training.whole import PART

# How often a stream that came to nothing is planned anew before its place stays empty.
ATTEMPTS = 4
SHARDS, FIGURES = "shards", "figures.json"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a corpus is made from; the same recipe gives the same bytes.

    material: the tables' paths; their content is told by `material_sha256`.
    checked_share: as in `training.tasks.plan.Studio`.
    """

    streams: int
    per_shard: int
    split: Split
    seed: int
    tasks: tuple[str, ...]
    voices: tuple[str, ...]
    material: tuple[Path, ...]
    material_sha256: str
    checked_share: float = 1.0

    @property
    def shards(self) -> int:
        """Into how many parts it is divided."""
        return -(-self.streams // self.per_shard)

    def numbers(self, shard: int) -> range:
        """Return the numbers of a shard's streams."""
        return range(shard * self.per_shard, min((shard + 1) * self.per_shard, self.streams))

    def written(self) -> str:
        """Return it as JSON, without where the table lies: a corpus may be built elsewhere."""
        told = asdict(self) | {"material": [path.name for path in self.material]}
        return json.dumps(told, indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class Order:
    """A shard to be built."""

    folder: Path
    recipe: Recipe
    shard: int

    @property
    def place(self) -> Path:
        """Where its rows are when it is done; its audio lies in the corpus's `audio`."""
        return self.folder / SHARDS / f"{self.shard:05}"


@dataclass(slots=True)
class Figures:
    """What became of streams. Counters are by sub-task; `dropped` also by the reason.

    cpu_s: of whoever built them. cpu_hours: how long the audio is that it was spent on. Neither is
    part of what is saved, so that of a shard that was there already both are 0.
    """

    streams: Counter[str]
    chunks: Counter[str]
    responses: Counter[str]
    dropped: Counter[str]
    utterances: Counter[str]
    cpu_s: float = 0.0
    cpu_hours: float = 0.0

    @classmethod
    def none(cls) -> "Figures":
        """Return the figures of nothing."""
        return cls(Counter(), Counter(), Counter(), Counter(), Counter())

    @property
    def hours(self) -> float:
        """How long the audio is."""
        return self.chunks.total() * CHUNK_MS / 3_600_000

    def add(self, other: "Figures") -> None:
        """Take in another's."""
        for name in COUNTERS:
            getattr(self, name).update(getattr(other, name))
        self.cpu_s += other.cpu_s
        self.cpu_hours += other.cpu_hours

    def written(self) -> str:
        """Return what is saved, as JSON."""
        counted = {name: dict(sorted(getattr(self, name).items())) for name in COUNTERS}
        return json.dumps(counted, indent=2) + "\n"


COUNTERS = ("streams", "chunks", "responses", "dropped", "utterances")


def read_figures(path: Path) -> Figures:
    """Read what `Figures.written` wrote."""
    counted = json.loads(path.read_text(encoding="utf-8"))
    figures = Figures.none()
    for name in COUNTERS:
        getattr(figures, name).update(counted[name])
    return figures


def build_shard(order: Order) -> Figures:
    """Build one shard, or read its figures where it is there. VoiceError, CheckpointError, OSError.

    What a build that was ended has left of it is written over.
    """
    if order.place.is_dir():
        return read_figures(order.place / FIGURES)
    before_s = _cpu_s()
    studio = _studio(order.recipe.material, order.recipe.split, order.recipe.checked_share)
    studio.booth.tally.clear()
    figures = Figures.none()
    rows: dict[str, list[Row]] = {kind: [] for kind in KINDS}
    for number in order.recipe.numbers(order.shard):
        for kind, row in _stream(order, number, studio, figures):
            rows[kind].append(row)
    figures.utterances.update(studio.booth.tally)
    _save(order.place, rows, figures)
    figures.cpu_s, figures.cpu_hours = _cpu_s() - before_s, figures.hours
    return figures


def _stream(
    order: Order, number: int, studio: Studio, figures: Figures
) -> Iterator[tuple[str, Row]]:
    """Make a stream; plan it anew, as the same sub-task, where it comes to nothing."""
    recipe = order.recipe
    task = drawn(named(recipe.tasks), np.random.default_rng([recipe.seed, number]))
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([recipe.seed, number, 1 + attempt])
        try:
            plan = task.plan(studio, rng)
            row = _saved(order, number, task, plan, int(rng.integers(2**31)), figures)
        except MaterialMissing:
            figures.dropped[f"{task.name}: no material"] += 1
            return
        except NotUnderstood:
            figures.dropped[f"{task.name}: not understood"] += 1
        except UnusableClipError:
            figures.dropped[f"{task.name}: no event in a clip"] += 1
        else:
            yield plan.kind, row
            return


def _saved(
    order: Order, number: int, task: SubTask, plan: Plan, seed: int, figures: Figures
) -> Row:
    stream = plan.composed(seed)
    row_id = f"{order.shard:05}/{number:07}-{task.name}"
    row = save_stream(stream, order.folder, row_id, scene_type=task.ability, system=plan.system)
    figures.streams[task.name] += 1
    figures.chunks[task.name] += stream.timeline.chunks
    figures.responses[task.name] += len(stream.timeline.responses)
    return row


def _save(place: Path, rows: dict[str, list[Row]], figures: Figures) -> None:
    """Put a shard's rows into place in one step; its audio is there already.

    Whoever was taken for dead may build the same shard beside this process, and be done with it.
    """
    part = Path(mkdtemp(prefix=f"{place.name}.", suffix=PART, dir=place.parent))
    for kind, of_kind in rows.items():
        if of_kind:
            write_rows(part / f"{kind}.jsonl", of_kind)
    (part / FIGURES).write_text(figures.written(), encoding="utf-8")
    try:
        part.rename(place)
    except OSError:
        if not place.is_dir():
            raise
        shutil.rmtree(part)


@lru_cache(maxsize=1)
def _studio(material: tuple[Path, ...], split: Split, checked_share: float) -> Studio:
    """Return a process's studio: weights and recordings are read once."""
    return Studio(read_material(material, split), Booth(), checked_share)


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
