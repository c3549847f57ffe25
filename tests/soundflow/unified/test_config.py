from dataclasses import replace
from typing import Any

import pytest

from soundflow.unified.config import DecoderConfig


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"layers": 0}, "layers is positive, got 0"),
        ({"norm_eps": 0.0}, "norm_eps is positive"),
        ({"heads": 6, "kv_heads": 4}, "6 heads cannot share 4 kv_heads"),
        ({"head_width": 15}, "head_width is even, got 15"),
    ],
)
def test_numbers_that_make_no_model_are_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        replace(DecoderConfig(), **wrong)


def test_a_position_of_the_published_model_is_36_kib_in_bf16() -> None:
    assert DecoderConfig().position_values * 2 == 36_864
