"""Whether a corpus is sound: its rows, its audio, its splits, and whether all of it is there."""

import json
from collections.abc import Iterator
from pathlib import Path

from soundflow.audio import CHUNK_SAMPLES, AudioError
from training.composition.rows import Row, RowError, broken_rows, read_rows
from training.corpora.build import RECIPE
from training.corpora.shards import SHARDS
from training.curation.recordings import read_pcm
from training.data import files_of


def problems(folder: Path) -> Iterator[str]:
    """Say what is wrong with a corpus, a line each. OSError."""
    yield from _missing(folder)
    ids: dict[str, str] = {}
    for kind, path in files_of(folder).items():
        broken = list(broken_rows(path))
        yield from (
            f"{path.name}:{each.line}: {each.id or '(no id)'}: {each.why}" for each in broken
        )
        if broken:
            continue
        for row in _rows(path):
            if ids.setdefault(row.id, kind) != kind:
                yield f"{path.name}: {row.id}: {ids[row.id]} has this id too"
            yield from (f"{path.name}: {row.id}: {why}" for why in _wrong(row, folder))


def _missing(folder: Path) -> Iterator[str]:
    """Compare a corpus that was built with its recipe."""
    if not folder.is_dir():
        yield "there is no such folder"
        return
    if not files_of(folder):
        yield "there are no rows"
    if not (folder / RECIPE).is_file():
        return
    made = json.loads((folder / RECIPE).read_text(encoding="utf-8"))
    shards = -(-made["streams"] // made["per_shard"])
    there = sum(path.is_dir() and not path.suffix for path in (folder / SHARDS).iterdir())
    if there != shards:
        yield f"{there} of {shards} shards are there: build it again, and it goes on"


def _wrong(row: Row, folder: Path) -> Iterator[str]:
    """Find what a row that can be read has against its own word."""
    samples = 0
    for turn in row.turns:
        try:
            pcm_S = read_pcm(folder / turn.audio_path)
        except (AudioError, OSError) as error:
            yield str(error)
            return
        samples += len(pcm_S)
        if row.timed and len(pcm_S) % CHUNK_SAMPLES:
            yield f"{turn.audio_path}: {len(pcm_S)} samples are no whole chunks"
    for clip in row.clips:
        if not 0 <= clip.start_s <= clip.end_s <= samples / 16_000 + 1e-3:
            yield f"{clip.label} lies outside of the audio, at {clip.start_s} to {clip.end_s} s"
    if row.split and not row.clips:
        yield f"is of the split {row.split}, but does not say where it comes from"


def _rows(path: Path) -> Iterator[Row]:
    try:
        yield from (row for row in read_rows(path) if isinstance(row, Row))
    except RowError:
        return
