"""What the frozen half of the small tower hears of a corpus, worked out once and kept on disk.

A stream is a file, put into place whole, so that work that was ended goes on. Shape suffixes: P
positions (20 ms), D width, N chunks, G groups of sounds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from tqdm import tqdm

from soundflow.audio import CHUNK_SAMPLES
from soundflow.checkpoint.folder import open_checkpoint
from soundflow.unified.small_hearing import listen
from soundflow.unified.small_tower import SmallTower
from training.composition.rows import Clip, Row, read_rows
from training.composition.timeline import Timeline
from training.corpora.workers import Workers
from training.data import files_of, hear
from training.whole import written_whole

Half = NDArray[np.float16]


class About(BaseModel):
    """What a stream is. timeline: as late as the tower hears; kind: of `training.data.KINDS`."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: str
    scene: str
    timeline: Timeline
    clips: tuple[Clip, ...]


@dataclass(frozen=True, slots=True)
class Listened:
    """A stream as the frozen half hears it. positions_PD: 20 a chunk. groups_NG: from 0 to 1."""

    about: About
    positions_PD: Half
    groups_NG: Half

    def save(self, path: Path) -> None:
        """Write it, in one step."""
        about = np.frombuffer(self.about.model_dump_json().encode(), np.uint8)
        with written_whole(path) as partial, partial.open("wb") as file:
            np.savez(file, about=about, positions=self.positions_PD, groups=self.groups_NG)


def load(path: Path) -> Listened:
    """Read one."""
    with np.load(path) as arrays:
        about = About.model_validate_json(arrays["about"].tobytes())
        return Listened(about, arrays["positions"], arrays["groups"])


def load_about(path: Path) -> About:
    """Read what a stream is, and nothing else of it."""
    with np.load(path) as arrays:
        return About.model_validate_json(arrays["about"].tobytes())


@dataclass(frozen=True, slots=True)
class _Work:
    """A stream to be listened to. start: the checkpoint with the tower's frozen half."""

    row: Row
    kind: str
    seed: int
    corpus: Path
    start: Path
    path: Path


def cache(corpus: Path, start: Path, folder: Path, workers: Workers) -> list[Path]:
    """Listen to all streams of a corpus, or those that are left; return their files, in order.

    RowError, AudioError, OSError, checkpoint errors.
    """
    folder.mkdir(parents=True, exist_ok=True)
    works = list(_works(corpus, start, folder))
    left = [work for work in works if not work.path.exists()]
    with tqdm(total=len(works), initial=len(works) - len(left), desc=folder.name) as bar:
        for _ in workers.each(_listen, left):
            bar.update()
    return [work.path for work in works]


def _works(corpus: Path, start: Path, folder: Path) -> Iterator[_Work]:
    for kind, rows in files_of(corpus).items():
        for number, row in enumerate(read_rows(rows)):
            if isinstance(row, Row):
                path = folder / f"{kind}-{number:06}.npz"
                yield _Work(row, kind, number, corpus, start, path)


def _listen(work: _Work) -> None:
    torch.set_num_threads(1)
    tower = _tower(work.start)
    heard = hear(work.row, work.corpus, np.random.default_rng([0, work.seed]))
    late = tower.config.lookahead_chunks
    pcm_S = np.pad(heard.pcm_S, (0, late * CHUNK_SAMPLES))
    positions_PD, groups_NG = listen(tower, pcm_S)
    about = About(
        name=f"{work.corpus.name}/{work.row.id}",
        kind=work.kind,
        scene=work.row.scene_type,
        timeline=heard.timeline.late(late),
        clips=work.row.clips,
    )
    Listened(about, _half(positions_PD), _half(groups_NG)).save(work.path)


@lru_cache(maxsize=1)
def _tower(start: Path) -> SmallTower:
    # bfloat16 is four times as fast here, and as exact as what learns from it needs.
    tower = open_checkpoint(start).make_encoder(torch.bfloat16)
    if not isinstance(tower, SmallTower):
        raise ValueError(f"{start} has no small tower")
    return tower.eval()


def _half(tensor: torch.Tensor) -> Half:
    return tensor.to(torch.float16).numpy()
