"""Streams as the language model is trained on them: heard once, then laid out anew each time.

Shape suffixes: N chunks, P frames of a chunk, W width of what the adapter makes, G groups of
sounds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from soundflow.unified.small_tower import SmallTower
from training.data import Layout
from training.learning.example import Example
from training.small.features import About, Half, load, load_about
from training.whole import written_whole

# Each stream is laid out in so many ways: other queues, other masks.
VARIANTS = 64

Change = Callable[["Heard", np.random.Generator], "Heard"]


@dataclass(frozen=True, slots=True)
class Heard:
    """A stream as the tower hears it. adapted_NPW: what comes before the groups."""

    about: About
    adapted_NPW: np.ndarray
    groups_NG: np.ndarray

    def whole(self) -> np.ndarray:
        """Return what is to be projected: both, for each frame."""
        frames = self.adapted_NPW.shape[1]
        tags_NPG = np.repeat(self.groups_NG[:, None], frames, axis=1)
        return np.concatenate([self.adapted_NPW, tags_NPG], axis=-1)


@dataclass(frozen=True, slots=True)
class HeardFiles:
    """A stream's two files: what the frozen half heard, and what the adapter makes of it."""

    listened: Path
    adapted: Path

    def load(self) -> Heard:
        """Read both."""
        listened = load(self.listened)
        adapted_NPW = np.load(self.adapted).astype(np.float32)
        return Heard(listened.about, adapted_NPW, listened.groups_NG.astype(np.float32))


def adapt(tower: SmallTower, paths: Sequence[Path], folder: Path) -> list[HeardFiles]:
    """Send streams through the adapter, or those that are left; return their files, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [HeardFiles(path, folder / f"{path.parent.name}-{path.stem}.npy") for path in paths]
    for each in tqdm(files, desc="adapter", unit="stream", dynamic_ncols=True):
        if not each.adapted.exists():
            with written_whole(each.adapted) as partial, partial.open("wb") as file:
                np.save(file, _adapted(tower, each.listened))
    return files


class HeardSource:
    """Implement `training.learning.example.Source` over streams that were heard.

    changes: made to each stream one after the other, drawn anew for each variant.
    """

    def __init__(
        self,
        files: Sequence[HeardFiles],
        layout: Layout,
        *,
        changes: Sequence[Change] = (),
        variants: int = VARIANTS,
        seed: int = 0,
    ) -> None:
        self._files, self._layout = files, layout
        self._changes, self._variants, self._seed = changes, variants, seed

    def __len__(self) -> int:
        """Return how many streams there are, in all their variants."""
        return len(self._files) * self._variants

    def __getitem__(self, index: int) -> Example:
        """Lay a stream out, in one of its variants."""
        heard = self._files[index % len(self._files)].load()
        rng = np.random.default_rng([self._seed, index])
        for change in self._changes:
            heard = change(heard, rng)
        sequence = self._layout.sequence(heard.about.timeline, rng)
        return Example(
            sequence.tokens_T,
            sequence.text_T,
            sequence.stream_T,
            sequence.blocks_N,
            heard_NPW=heard.whole(),
            name=heard.about.name,
        )


def by_kind(
    files: Sequence[HeardFiles], transcripts: frozenset[str]
) -> dict[str, list[HeardFiles]]:
    """Sort streams: `base`, where speech is written down; the others by kind, or `sounds`."""
    sorted_files: dict[str, list[HeardFiles]] = {}
    for each in files:
        about = load_about(each.listened)
        kind = about.kind if about.kind != "base" else "sounds"
        sorted_files.setdefault("base" if about.scene in transcripts else kind, []).append(each)
    return sorted_files


def _adapted(tower: SmallTower, path: Path) -> Half:
    listened = load(path)
    positions_PD = torch.from_numpy(listened.positions_PD.astype(np.float32))
    groups_NG = torch.from_numpy(listened.groups_NG.astype(np.float32))
    with torch.inference_mode():
        heard_NPW = tower.hear_all(positions_PD[None], groups_NG[None])[0]
    adapted_NPW: Half = heard_NPW[..., : -groups_NG.shape[-1]].to(torch.float16).numpy()
    return adapted_NPW
