from collections import Counter
from dataclasses import replace

from pytest import approx, raises

from tests.training.tiny import Noise
from training.learning.example import Example
from training.learning.order import Order

EXAMPLE = Noise()[0]


class Names:
    """A source whose examples say which it is."""

    def __init__(self, name: str) -> None:
        self._example = replace(EXAMPLE, name=name)

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> Example:
        return self._example


SOURCES = {"base": Noise(10), "silent": Noise(10, first=100), "proactive": Noise(10, first=200)}


def test_a_position_always_gives_the_same_example() -> None:
    order = Order(SOURCES, {"silent": 0.5}, seed=3)
    again = Order(SOURCES, {"silent": 0.5}, seed=3)
    assert [order.at(n).name for n in range(30)] == [again.at(n).name for n in range(30)]
    other = Order(SOURCES, {"silent": 0.5}, seed=4)
    assert [order.at(n).name for n in range(30)] != [other.at(n).name for n in range(30)]


def test_one_source_is_read_through_before_anything_comes_again_in_another_order() -> None:
    order = Order(SOURCES, {}, seed=0)
    first, second = ([order.at(n).name for n in range(at, at + 10)] for at in (0, 10))
    assert set(first) == set(second) == {f"noise {n}" for n in range(10)}
    assert first != second


def test_shares_are_for_each_example_of_the_base() -> None:
    sources = {name: Names(name) for name in ("base", "silent", "proactive")}
    order = Order(sources, {"silent": 0.4, "proactive": 0.3, "history": 0.3}, seed=1)
    counts = Counter(order.at(n).name for n in range(4000))
    assert counts["silent"] / counts["base"] == approx(0.4, rel=0.12)
    assert counts["proactive"] / counts["base"] == approx(0.3, rel=0.12)
    assert counts.total() == 4000  # of what is not there, history, there is none


def test_nothing_to_learn_from_is_an_error() -> None:
    with raises(ValueError, match="no examples"):
        Order({"base": Noise(0)}, {}, seed=0)
