from collections.abc import Callable

import numpy as np
import pytest
import torch

from soundflow.audio import CHUNK_SAMPLES
from soundflow.frontend import Array
from soundflow.unified.logmel import LogMel, MelState, mel
from tests import golden
from tests.golden import published

SAMPLES = 6 * CHUNK_SAMPLES
Windows = Callable[[LogMel, Array], torch.Tensor]


def noise(seed: int, samples: int = SAMPLES) -> Array:
    """Noise whose loudness changes from chunk to chunk."""
    random = np.random.default_rng(seed)
    loudness = np.repeat(10 ** random.uniform(-4, -0.5, samples // CHUNK_SAMPLES), CHUNK_SAMPLES)
    return (loudness * random.normal(0, 0.3, samples)).astype(np.float32)


def published_end(pcm: Array, frames: int) -> torch.Tensor:
    """The newest frames of a transform of all that was heard, in plain steps."""
    reflected = np.pad(pcm.astype(np.float64), 200, mode="reflect")
    window = np.hanning(401)[:-1]
    pieces = np.stack([reflected[i * 160 : i * 160 + 400] for i in range(len(pcm) // 160)])
    power = np.abs(np.fft.rfft(pieces * window)) ** 2
    log = np.log10(np.maximum(power @ LogMel(128)._filters_FM.numpy(), 1e-10))
    scaled = (np.maximum(log, log.max() - 8) + 4) / 4
    return torch.from_numpy(scaled[-frames:].T).float()


def test_a_whole_clip_is_what_the_published_code_makes_of_it() -> None:
    np.testing.assert_allclose(mel(golden.pcm()).numpy(), golden.mel(), atol=1e-4)


def test_streamed_windows_give_the_published_features_of_every_prefix() -> None:
    made = published.tower()(LogMel(128).live(golden.pcm())).numpy()
    np.testing.assert_allclose(made, golden.features_prefix(), atol=1e-4)


@pytest.mark.parametrize("context", [0, 1, 2])
def test_a_window_is_the_end_of_all_that_was_heard(context: int) -> None:
    pcm = noise(seed=1)
    frames = 40 * (context + 1)
    for number, window in enumerate(LogMel(128, context).live(pcm), start=1):
        heard = min(number, context + 1) * 40
        expected = published_end(pcm[: number * CHUNK_SAMPLES], heard)
        assert window.shape == (128, frames)
        torch.testing.assert_close(window[:, frames - heard :], expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("windows", [LogMel.live, LogMel.whole], ids=["live", "whole"])
def test_silence_lies_before_a_session(windows: Windows) -> None:
    quiet = np.zeros(CHUNK_SAMPLES, np.float32)
    first = windows(LogMel(128, 2), np.concatenate([quiet, noise(seed=2)]))[0]
    torch.testing.assert_close(first[:, :80], first[:, 40:41].expand(-1, 80))


def test_whole_and_live_agree_once_the_loudest_is_known_but_for_the_mirrored_frame() -> None:
    pcm = noise(seed=3)
    pcm[:CHUNK_SAMPLES] *= 1 / np.abs(pcm[:CHUNK_SAMPLES]).max()
    front = LogMel(128, 1)
    settled = slice(0, 79)
    torch.testing.assert_close(
        front.live(pcm)[:, :, settled], front.whole(pcm)[:, :, settled], atol=1e-5, rtol=0
    )


def test_sessions_of_one_batch_do_not_meet() -> None:
    front = LogMel(128, 1)
    clips = [noise(seed) for seed in range(8)]
    alone = [front.live(clip) for clip in clips]
    states: list[MelState] = [front.initial() for _ in clips]
    heard = [0] * len(clips)
    random = np.random.default_rng(0)
    while unfinished := [i for i in range(8) if heard[i] * CHUNK_SAMPLES < SAMPLES]:
        chosen = random.permutation(unfinished)[: random.integers(1, len(unfinished) + 1)]
        pieces = [clips[i].reshape(-1, CHUNK_SAMPLES)[heard[i]] for i in chosen]
        windows, following = front.advance(np.stack(pieces), [states[i] for i in chosen])
        for i, window, state in zip(chosen, windows, following, strict=True):
            torch.testing.assert_close(window, alone[i][heard[i]], atol=1e-5, rtol=0)
            states[i], heard[i] = state, heard[i] + 1


def test_a_state_holds_no_more_than_its_own_numbers() -> None:
    front = LogMel(128, 1)
    pcm = np.stack([noise(seed, CHUNK_SAMPLES) for seed in range(3)])
    _, states = front.advance(pcm, [front.initial()] * 3)
    for state in states:
        assert state.tail.base is None
        assert state.recent.base is None
