import numpy as np
import pytest
import torch

from soundflow.unified.audio_tower import AudioTower, EncoderConfig
from soundflow.unified.weightless import without_weights
from tests import golden
from tests.golden import published

TINY = EncoderConfig(mels=8, width=16, layers=2, heads=2, ffn=32, output_width=12)


def test_published_weights_give_the_published_features() -> None:
    windows = np.split(golden.mel(), len(golden.features_whole()), axis=1)
    made = published.tower()(torch.from_numpy(np.stack(windows))).numpy()
    np.testing.assert_allclose(made, golden.features_whole(), atol=1e-4)


def test_the_names_are_the_published_ones() -> None:
    assert AudioTower(published.encoder_config()).state_dict().keys() == (
        golden.encoder_weights().keys()
    )


def test_a_tower_made_without_weights_takes_them_in_their_own_precision() -> None:
    with without_weights():
        tower = AudioTower(published.encoder_config())
    weights = {name: torch.from_numpy(w) for name, w in golden.encoder_weights().items()}
    windows = torch.from_numpy(golden.mel()[None, :, :40])
    for precision, atol in [(torch.float32, 1e-4), (torch.bfloat16, 0.1)]:
        lowered = {name: weight.to(precision) for name, weight in weights.items()}
        tower.load_state_dict(lowered, assign=True)
        made = tower(windows.to(precision))
        assert made.dtype == precision
        expected = torch.from_numpy(golden.features_whole()[:1]).to(precision)
        torch.testing.assert_close(made, expected, atol=atol, rtol=0)


def test_the_default_is_the_published_size() -> None:
    with without_weights():
        tower = AudioTower(EncoderConfig())
    # 1.28 GB in two bytes each
    assert sum(weight.numel() for weight in tower.parameters()) == pytest.approx(640e6, rel=0.01)


def test_a_chunk_is_encoded_the_same_in_any_company() -> None:
    tower = AudioTower(TINY).eval()
    windows = torch.randn(5, 8, 40, generator=torch.Generator().manual_seed(1))
    together = tower(windows)
    for window, expected in zip(windows, together, strict=True):
        torch.testing.assert_close(tower(window[None])[0], expected, atol=1e-6, rtol=1e-5)


def test_context_is_seen_and_nothing_before_it() -> None:
    config = EncoderConfig(
        mels=8, width=16, layers=2, heads=2, ffn=32, output_width=12, context_chunks=2
    )
    tower = AudioTower(config).eval()
    windows = torch.randn(1, 8, 120, generator=torch.Generator().manual_seed(2))
    changed = windows.clone()
    changed[:, :, 10] += 1
    assert tower(windows).shape == (1, 10, 12)
    assert (tower(windows) - tower(changed)).abs().max() > 1e-5
    with pytest.raises(ValueError, match="120"):
        tower(windows[:, :, 40:])


@pytest.mark.parametrize(
    "field",
    [{"heads": 3}, {"heads": 0}, {"ffn": -1}, {"context_chunks": -1}, {"context_chunks": 75}],
)
def test_a_configuration_that_cannot_be_is_refused(field: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(field))):
        EncoderConfig(**{"width": 64, "heads": 4, **field})


def test_gradients_reach_every_weight_that_is_used() -> None:
    tower = AudioTower(TINY)
    tower(torch.randn(2, 8, 40)).square().sum().backward()
    unused = {name for name, weight in tower.named_parameters() if weight.grad is None}
    assert unused == {"audio_bos_eos_token.weight"}
