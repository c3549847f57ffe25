"""What the published server does for each chunk: encode all that was said, extend a growing cache.

As it serves, but for its limits: there a session's cache is wiped at 1,500 positions or 3 replies.
"""

import time
from collections.abc import Iterator

import torch

from soundflow.audio import CHUNK_MS, CHUNK_SAMPLES
from soundflow.frontend import Array
from soundflow.unified.audio_tower import AudioTower
from soundflow.unified.encoder import features_whole
from soundflow.unified.pages import Lane, PagedCache
from soundflow.unified.transformer import LanguageModel

CHUNK_POSITIONS = 13  # a block, and the control token before it
FILL_POSITIONS = 1024
AGES_S = (1, 3, 10, 30, 60, 120, 300, 600, 1200, 2400, 4800)
REPEATS = 3


def published_costs(
    tower: AudioTower, model: LanguageModel, minute: Array, most_ms: float
) -> Iterator[tuple[float, float]]:
    """Yield a session's age in seconds and what a chunk costs then, in milliseconds of processor.

    Ends behind the first that costs more than `most_ms`, or where the model has no more positions.
    """
    most_chunks = model.config.max_positions // CHUNK_POSITIONS
    cache = PagedCache(model.config, model.config.max_positions // 16)
    lane = cache.lane()
    for age_s in AGES_S:
        chunks = age_s * 1000 // CHUNK_MS
        if chunks > most_chunks:
            return
        _fill(model, lane, (chunks - 1) * CHUNK_POSITIONS)
        cost_ms = min(_chunk_ms(tower, model, minute, lane, chunks) for _ in range(REPEATS))
        yield age_s, cost_ms
        if cost_ms > most_ms:
            return


def _chunk_ms(
    tower: AudioTower, model: LanguageModel, minute: Array, lane: Lane, chunks: int
) -> float:
    minutes = -(-chunks * CHUNK_SAMPLES // len(minute))
    heard = torch.from_numpy(minute).repeat(minutes)[: chunks * CHUNK_SAMPLES].numpy()
    before, began_s = lane.length, time.process_time()
    with torch.inference_mode():
        features = features_whole(tower, heard)[-1]
    _extend(model, lane, torch.cat([features, features[: CHUNK_POSITIONS - 10]]))
    cost_ms = (time.process_time() - began_s) * 1000
    lane.truncate(before)
    return cost_ms


def _fill(model: LanguageModel, lane: Lane, length: int) -> None:
    """Let a lane hold so many positions; what they are costs nothing more or less."""
    while missing := length - lane.length:
        count = min(missing, FILL_POSITIONS)
        _extend(model, lane, torch.randn(count, model.config.width))


def _extend(model: LanguageModel, lane: Lane, embedded: torch.Tensor) -> None:
    model.extend([(lane, embedded)])
