from pathlib import Path

import numpy as np
import pytest
import torch

from soundflow.audio import CHUNK_SAMPLES
from soundflow.checkpoint.folder import open_checkpoint
from soundflow.unified.small_hearing import hear as heard_by
from soundflow.unified.small_tower import SmallTower
from tests.training.small.material import write_corpus, write_start
from training.composition.rows import read_rows
from training.composition.sequence import Parts
from training.corpora.workers import Here
from training.data import JOINED_SCENES, Layout, hear
from training.small.features import cache, load
from training.small.streams import HeardSource, adapt, by_kind


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    write_corpus(folder / "corpus", 3)
    write_start(folder / "start")
    return folder


@pytest.fixture(scope="module")
def paths(folder: Path) -> list[Path]:
    return cache(folder / "corpus", folder / "start", folder / "features", Here())


def tower_of(folder: Path) -> SmallTower:
    tower = open_checkpoint(folder / "start").make_encoder(torch.float32)
    assert isinstance(tower, SmallTower)
    return tower.eval()


def test_what_is_kept_gives_what_a_live_session_hears(folder: Path, paths: list[Path]) -> None:
    tower = tower_of(folder)
    [first, *_] = adapt(tower, paths, folder / "adapted")
    row = next(iter(read_rows(folder / "corpus" / "base.jsonl")))
    told = hear(row, folder / "corpus", np.random.default_rng(0))  # type: ignore[arg-type]
    late = tower.config.lookahead_chunks
    live = heard_by(tower, np.pad(told.pcm_S, (0, late * CHUNK_SAMPLES))).numpy()
    kept = first.load().whole()
    assert kept.shape == live.shape
    # Kept in half precision, by a tower in bfloat16.
    np.testing.assert_allclose(kept, live, rtol=0.05, atol=0.05)


def test_responses_are_as_late_as_the_tower_hears(folder: Path, paths: list[Path]) -> None:
    rows = list(read_rows(folder / "corpus" / "base.jsonl"))
    for path, row in zip(paths, rows, strict=False):
        told = hear(row, folder / "corpus", np.random.default_rng(0)).timeline  # type: ignore[arg-type]
        late = load(path).about.timeline
        assert late.chunks == told.chunks + 1
        assert [each.chunk - 1 for each in late.responses] == [e.chunk for e in told.responses]


def test_what_is_there_is_not_listened_to_again(folder: Path, paths: list[Path]) -> None:
    before = [path.stat().st_mtime_ns for path in paths]
    paths[1].unlink()
    assert cache(folder / "corpus", folder / "start", folder / "features", Here()) == paths
    again = [path.stat().st_mtime_ns for path in paths]
    assert [old == new for old, new in zip(before, again, strict=True)].count(False) == 1


def test_streams_are_laid_out_in_many_ways_each_always_the_same(
    folder: Path, paths: list[Path]
) -> None:
    checkpoint = open_checkpoint(folder / "start")
    layout = Layout(Parts(checkpoint.control, checkpoint.read_tokenizer()))
    files = by_kind(adapt(tower_of(folder), paths, folder / "adapted"), JOINED_SCENES)
    assert {kind: len(of_kind) for kind, of_kind in files.items()} == {"base": 3, "proactive": 2}
    source, again = (HeardSource(files["base"], layout, variants=30) for _ in range(2))
    assert len(source) == 90
    assert source[5].name == source[8].name != source[6].name
    np.testing.assert_array_equal(source[7].tokens_T, again[7].tokens_T)
    assert len({source[number].tokens_T.tobytes() for number in range(0, 90, 3)}) > 1
