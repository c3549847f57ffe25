"""How far each number format is from float32; every bound follows from the format alone."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from soundflow.unified.config import DecoderConfig
from soundflow.unified.kv_pool import FP8, make_pool, room
from soundflow.unified.pages import PagedCache
from soundflow.unified.quantised import QuantisedLinear, WeightFormat, quantise
from soundflow.unified.transformer import LanguageModel
from tests.soundflow.unified import tiny

# e4m3 has 3 bits of mantissa: rounding moves a number by at most 2^-4 of itself; below 2^-6 it has
# steps of 2^-9, so by at most 2^-10; its largest number is 448.
FP8_RELATIVE, FP8_ABSOLUTE, FP8_LARGEST = 2**-4, 2**-10, 448.0
INT8_LARGEST = 127.0
# Steps that are as likely to end anywhere in an interval have this root mean square.
UNIFORM = 3**-0.5


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with tiny.threads(1):
        yield


def matrix(rows: int, columns: int) -> Tensor:
    """Return numbers over five orders of magnitude, with a row of zeros."""
    chance = torch.Generator().manual_seed(rows)
    numbers = torch.randn(rows, columns, generator=chance)
    numbers = numbers * 10 ** (5 * torch.rand(rows, columns, generator=chance) - 3)
    numbers[0] = 0
    return numbers


def fp8_bound(numbers: Tensor) -> Tensor:
    """Return by how much each number may move where its row shares a scale."""
    scale = numbers.abs().amax(-1, keepdim=True) / FP8_LARGEST
    return torch.maximum(numbers.abs() * FP8_RELATIVE, scale * FP8_ABSOLUTE) * (1 + 1e-6)


def int8_bound(numbers: Tensor) -> Tensor:
    half_step = numbers.abs().amax(-1, keepdim=True) / INT8_LARGEST / 2
    return half_step.expand_as(numbers) * (1 + 1e-5)


BOUNDS = {torch.int8: int8_bound, torch.float8_e4m3fn: fp8_bound}
FORMATS = {WeightFormat.INT8: torch.int8, WeightFormat.FP8: torch.float8_e4m3fn}


@pytest.mark.parametrize("dtype", list(BOUNDS))
def test_each_weight_is_as_near_as_the_format_allows(dtype: torch.dtype) -> None:
    weight = matrix(30, 200)
    stored, scale = quantise(weight, dtype)
    off = (stored.float() * scale[:, None] - weight).abs()
    assert stored.dtype == dtype
    assert (off <= BOUNDS[dtype](weight)).all()


@pytest.mark.parametrize("kept_as", list(FORMATS))
def test_a_product_is_off_by_no_more_than_its_weights_are(kept_as: WeightFormat) -> None:
    weight, bias, inputs = matrix(40, 64), torch.randn(40), torch.randn(9, 64)
    layer = QuantisedLinear(64, 40, FORMATS[kept_as], bias=True)
    layer.load_state_dict({"weight": weight, "bias": bias})
    off = (layer(inputs) - torch.nn.functional.linear(inputs, weight, bias)).abs()
    rounding = 1e-5 * (inputs.abs() @ weight.abs().T + bias.abs())
    assert (off <= inputs.abs() @ BOUNDS[FORMATS[kept_as]](weight).T + rounding).all()


def test_fp8_keys_and_values_are_as_near_as_the_format_allows() -> None:
    config = DecoderConfig(layers=2, kv_heads=3, heads=3, head_width=64)
    pool = make_pool(config, 50, FP8, torch.device("cpu"))
    key, value = matrix(30, 64).view(10, 3, 64), 1e4 * matrix(30, 64).view(10, 3, 64).flip(0)
    slots = torch.arange(10) * 5
    pool.write(1, slots, key, value)
    gathered = room(config, 10, torch.float32, torch.device("cpu"))
    pool.read(1, slots, gathered)
    for numbers, got in zip((key, value), gathered, strict=True):
        assert ((got - numbers).abs() <= fp8_bound(numbers)).all()
    pool.read(0, slots, gathered)
    assert not gathered[0].any()


def test_fp8_takes_half_of_what_bf16_takes_but_for_the_scales() -> None:
    config = DecoderConfig()
    fp8, bf16 = (
        make_pool(config, 4, dtype, torch.device("cpu")).bytes_per_slot
        for dtype in (FP8, torch.bfloat16)
    )
    assert bf16 == 36 * 2 * 2 * 128 * 2
    assert fp8 == bf16 // 2 + 36 * 2 * 2 * 4


def test_a_format_is_kept_when_the_type_of_the_model_changes() -> None:
    lm = tiny.model(tiny.weights(), kept_as=WeightFormat.INT8)
    assert isinstance(lm.head, QuantisedLinear)
    before = lm.head.weight.clone()
    lm.to(torch.bfloat16)
    assert lm.dtype == torch.bfloat16
    assert torch.equal(lm.head.weight, before)


def test_weights_that_are_quantised_already_are_refused() -> None:
    layer = QuantisedLinear(4, 4, torch.int8, bias=False)
    with pytest.raises(ValueError, match="weight is quantised when it is loaded"):
        layer.load_state_dict({"weight": torch.zeros(4, 4, dtype=torch.int8)})


# The whole model. Each matrix product adds an error of its own; errors that know nothing of one
# another add as squares do, and none of the model's other parts makes relative errors larger than
# they come in. A path through the model leads through 4 matrices a layer and the head.
MATRICES = 4 * tiny.CONFIG.layers + 1


def relative_error(lm: LanguageModel, cache: PagedCache) -> float:
    """Return how far the logits are from float32, as a share of their size: root mean squares."""
    sequence = torch.randn(120, tiny.CONFIG.width, generator=torch.Generator().manual_seed(2))
    expected = tiny.model(tiny.weights())(sequence[None])[0, 12::13]
    got = tiny.stepwise(lm, cache, sequence[:117], step=13)
    return float((got - expected).square().mean().sqrt() / expected.square().mean().sqrt())


def cache_of(dtype: torch.dtype) -> PagedCache:
    return PagedCache(tiny.CONFIG, pages=20, dtype=dtype)


# bf16 keeps 8 bits of a number, fp16 11: rounding moves it by at most half a unit of the last one.
@pytest.mark.parametrize(("dtype", "rounding"), [(torch.bfloat16, 2**-9), (torch.float16, 2**-12)])
def test_half_precision_adds_what_rounding_each_product_adds(
    dtype: torch.dtype, rounding: float
) -> None:
    # Three roundings before a product, of its weights, of what came in, of its norm; three after.
    bound = (3 * 2 * MATRICES) ** 0.5 * rounding
    error = relative_error(tiny.model(tiny.weights(), dtype=dtype), cache_of(dtype))
    print(f"{dtype}: {error:.2%} of the logits' size, at most {bound:.2%}")
    assert 0 < error <= bound


@pytest.mark.parametrize("kept_as", list(FORMATS))
def test_quantised_weights_add_what_rounding_each_matrix_adds(kept_as: WeightFormat) -> None:
    state = tiny.weights()
    matrices = [w for name, w in state.items() if w.ndim == 2 and "embedding" not in name]
    widest = max(
        float(
            (BOUNDS[FORMATS[kept_as]](w) * UNIFORM).square().mean().sqrt()
            / w.square().mean().sqrt()
        )
        for w in matrices
    )
    bound = MATRICES**0.5 * widest
    lm = tiny.model(state, kept_as=kept_as)
    error = relative_error(lm, cache_of(torch.float32))
    print(f"{kept_as}: {error:.2%} of the logits' size, at most {bound:.2%}")
    assert 0 < error <= bound


def test_an_fp8_cache_adds_what_rounding_each_key_and_value_adds() -> None:
    # A key that is off by a share of itself moves a score of order 1 by as much, and so the weight
    # of its value, which is off by as much itself: two errors a layer.
    bound = (2 * tiny.CONFIG.layers) ** 0.5 * FP8_RELATIVE * UNIFORM
    error = relative_error(tiny.model(tiny.weights()), cache_of(FP8))
    print(f"fp8 cache: {error:.2%} of the logits' size, at most {bound:.2%}")
    assert 0 < error <= bound
