"""How a checkpoint is run: in which type, for how many, and what is said where it cannot be."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from soundflow.checkpoint.errors import ModelDamaged
from soundflow.checkpoint.folder import Checkpoint, open_checkpoint
from soundflow.decoder import DecoderFull
from soundflow.frontend import Array
from soundflow.interaction import SessionSpec
from soundflow.unified.loading import decoder_of, encoder_of, settings_for
from soundflow.unified.quantised import QuantisedLinear, WeightFormat
from soundflow.unified.runtime import Runtime
from tests import golden
from tests.soundflow.unified.small import write_small


@pytest.fixture(scope="module")
def checkpoint(golden_folder: Path) -> Checkpoint:
    return open_checkpoint(golden_folder)


def test_as_many_sessions_as_wanted_fit_and_no_more(checkpoint: Checkpoint) -> None:
    decoder = decoder_of(checkpoint, Runtime(device="cpu", sessions=2))
    assert decoder.info.name == "golden"
    open_sessions = [decoder.open(SessionSpec(), ()) for _ in range(2)]
    with pytest.raises(DecoderFull):
        decoder.open(SessionSpec(), ())
    for session in open_sessions:
        decoder.close(session)


def test_the_encoder_hears_in_another_precision(checkpoint: Checkpoint) -> None:
    exact = encoder_of(checkpoint, Runtime(device="cpu"))
    rough = encoder_of(checkpoint, Runtime(device="cpu", precision="bfloat16"))
    chunk = golden.chunks()[3]
    [(features, _)] = exact.encode([(chunk, exact.initial())])
    [(roughly, _)] = rough.encode([(chunk, rough.initial())])
    apart = abs(features.tensors["frames"] - roughly.tensors["frames"]).max()
    assert 0 < apart < 0.1
    assert roughly.tensors["frames"].dtype == features.tensors["frames"].dtype


def test_float16_is_widened_on_the_processor_where_nothing_else_is_asked_for(
    small_folder: Path, tmp_path: Path
) -> None:
    stored = open_checkpoint(small_folder)
    assert {weight.dtype for weight in stored.make_encoder().parameters()} == {torch.float16}
    exact = frames(open_checkpoint(write_small(tmp_path / "exact", torch.float32)), Runtime("cpu"))
    widened = frames(stored, Runtime("cpu"))
    as_stored = frames(stored, Runtime("cpu", precision="float16"))
    # Only the weights are rounded, not what is computed with them.
    assert 0 < abs(widened - exact).max() < abs(as_stored - exact).max() < 0.05


def frames(checkpoint: Checkpoint, runtime: Runtime) -> Array:
    encoder = encoder_of(checkpoint, runtime)
    [(features, _)] = encoder.encode([(golden.chunks()[3], encoder.initial())])
    return features.tensors["frames"]


@pytest.mark.parametrize("weights", [WeightFormat.INT8, WeightFormat.FP8])
def test_matrices_are_quantised_as_they_are_read(
    checkpoint: Checkpoint, weights: WeightFormat
) -> None:
    model = checkpoint.make_decoder(weights=weights)
    layer = model.get_submodule("blocks.1.mlp.down")
    assert isinstance(layer, QuantisedLinear)
    original = torch.from_numpy(golden.decoder_weights()["transformer.h.1.mlp.proj.weight"])
    scaled = layer.weight.view(weights.dtype).float() * layer.scale[:, None]
    assert 0 < (scaled - original).abs().max() < original.abs().max() / 16


def test_a_model_too_short_for_a_session_is_told(checkpoint: Checkpoint) -> None:
    short = replace(
        checkpoint, decoder_config=replace(checkpoint.decoder_config, max_positions=512)
    )
    with pytest.raises(ModelDamaged, match="golden: the decoder is too short"):
        decoder_of(short, Runtime(device="cpu"))


def test_too_few_positions_that_someone_asked_for_are_told_with_how_many_would_do(
    checkpoint: Checkpoint,
) -> None:
    with pytest.raises(
        ValueError, match=r"SOUNDFLOW_UNIFIED_POSITIONS is too small: 1000 .* do$"
    ) as told:
        settings_for(checkpoint, 1000)
    enough = int(str(told.value).split()[-2])
    assert settings_for(checkpoint, enough).positions == enough
    with pytest.raises(ValueError, match=f"{enough} do"):
        settings_for(checkpoint, enough - 1)


def test_a_device_that_is_not_there_is_named(checkpoint: Checkpoint) -> None:
    with pytest.raises(ValueError, match=r"'gpu' \(SOUNDFLOW_UNIFIED_DEVICE\)"):
        encoder_of(checkpoint, Runtime(device="gpu"))
    with pytest.raises(ValueError, match=r"'cuda:99' \(SOUNDFLOW_UNIFIED_DEVICE\)"):
        decoder_of(checkpoint, Runtime(device="cuda:99"))


def test_a_model_of_fewer_positions_than_usual_is_run_in_those_it_has(
    checkpoint: Checkpoint,
) -> None:
    shorter = replace(
        checkpoint, decoder_config=replace(checkpoint.decoder_config, max_positions=2040)
    )
    decoder = decoder_of(shorter, Runtime(device="cpu", sessions=3))
    assert decoder.capacity == 3


def test_keys_and_values_are_kept_in_less_where_that_is_wanted(checkpoint: Checkpoint) -> None:
    exact, halved = (
        decoder_of(checkpoint, Runtime(device="cpu", sessions=1, cache=cache))
        for cache in ("float", "fp8")
    )
    halved.start(lambda _: None)
    assert halved._cache.pool.bytes_per_slot <= exact._cache.pool.bytes_per_slot // 2
