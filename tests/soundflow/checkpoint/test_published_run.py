"""From the published folder alone to the published model's own words: nothing else is given."""

import numpy as np
import pytest
import torch
from torch import Tensor

from soundflow.audio import CHUNK_SAMPLES, Chunk
from soundflow.checkpoint.folder import Checkpoint, open_checkpoint
from soundflow.unified.audio_tower import AudioTower
from soundflow.unified.encoder import features_whole
from soundflow.unified.loading import encoder_of
from soundflow.unified.runtime import Runtime
from tests import golden
from tests.golden.greedy import greedy_turns
from tests.soundflow.checkpoint.folders import write_published

pytestmark = pytest.mark.usefixtures("one_torch_thread")

SECOND_OF_SILENCE = 3 * CHUNK_SAMPLES  # in whole chunks


@pytest.fixture(scope="module", params=["stacked", "interleaved"])
def checkpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Checkpoint:
    folder = tmp_path_factory.mktemp("published")
    return open_checkpoint(write_published(folder, legacy=request.param == "interleaved"))


def conversation(checkpoint: Checkpoint) -> Tensor:
    """Return the frames of the clip, a second of zeros, and both again, each encoded as a whole."""
    tower = checkpoint.make_encoder()
    assert isinstance(tower, AudioTower)
    silence = np.zeros(SECOND_OF_SILENCE, np.float32)
    with torch.inference_mode():
        parts = [features_whole(tower, pcm) for pcm in (golden.pcm(), silence)]
    return torch.cat([*parts, *parts])


def test_a_live_session_gets_the_published_features(checkpoint: Checkpoint) -> None:
    encoder = encoder_of(checkpoint, Runtime(device="cpu"))
    state = encoder.initial()
    pieces = golden.pcm().reshape(-1, CHUNK_SAMPLES)
    for index, (pcm, expected) in enumerate(zip(pieces, golden.features_prefix(), strict=True)):
        [(features, state)] = encoder.encode([(Chunk("golden", index, pcm), state)])
        frames = torch.from_numpy(features.tensors["frames"])
        torch.testing.assert_close(frames, torch.from_numpy(expected), rtol=0, atol=1e-4)


def test_it_says_the_published_tokens(checkpoint: Checkpoint) -> None:
    """Greedy, on its own words: a single other token would lead to another conversation."""
    model, system_ids = checkpoint.make_decoder().requires_grad_(False), golden.prefix_ids()[4:-1]
    chunks = [[frames] for frames in conversation(checkpoint)]
    said = greedy_turns(model, checkpoint.control, system_ids, chunks)
    assert said == golden.turns()
    assert sum(map(len, said)) == 898
