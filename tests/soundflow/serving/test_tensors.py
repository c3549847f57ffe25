"""Rows of tensors in one message: what comes out is what went in."""

import numpy as np
import pytest

from soundflow.serving.tensors import signature, stacked, unstacked


def row(length: int, start: float) -> dict[str, np.ndarray]:
    speech = np.arange(start, start + length, dtype=np.float32)
    return {"speech": speech, "level": np.array([start], np.float32)}


@pytest.mark.parametrize("lengths", [(3,), (3, 3), (2, 3, 0)])
def test_rows_come_back_as_they_were(lengths: tuple[int, ...]) -> None:
    rows = [row(length, start=10.0 * place) for place, length in enumerate(lengths)]
    back = list(unstacked(stacked(rows)))
    assert len(back) == len(rows)
    for sent, got in zip(rows, back, strict=True):
        assert list(got) == list(sent)
        for name in sent:
            assert got[name].dtype == sent[name].dtype
            np.testing.assert_array_equal(got[name], sent[name])


def test_rows_of_one_length_need_no_lengths() -> None:
    assert set(stacked([row(2, 0), row(2, 1)])) == {"speech", "level"}


def test_shorter_rows_are_filled_up_and_their_lengths_said() -> None:
    joined = stacked([row(1, 5), row(3, 7)])
    assert joined["speech"].tolist() == [[5, 0, 0], [7, 8, 9]]
    assert joined["speech_length"].tolist() == [[1], [3]]


def test_no_rows_are_no_tensors() -> None:
    assert stacked([]) == {}
    assert list(unstacked({})) == []


def test_tensors_of_different_numbers_of_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[1, 2\]"):
        list(unstacked({"a": np.zeros((1, 1)), "b": np.zeros((2, 1))}))


def test_only_the_first_axis_may_differ_within_a_message() -> None:
    assert signature(row(1, 0)) == signature(row(3, 0))
    flat, deep = {"a": np.zeros(2)}, {"a": np.zeros((2, 2))}
    assert signature(flat) != signature(deep)
    assert signature(flat) != signature({"a": np.zeros(2, np.float32)})
    assert signature(flat) != signature({"b": np.zeros(2)})
