from pytest import approx, mark

from training.composition.timeline import Answer, Response, Timeline
from training.evaluation.counting import Counted, last_number, score, true_count


def timeline(*texts: str) -> Timeline:
    return Timeline(9, tuple(Response(n, Answer(text), 1) for n, text in enumerate(texts)))


@mark.parametrize(
    ("texts", "count"),
    [(("1.", "2.", "3."), 3), (("1", "3"), 0), (("A dog.",), 0), ((), 0), (("Number 1.",), 0)],
)
def test_a_count_goes_up_from_one(texts: tuple[str, ...], count: int) -> None:
    assert true_count(timeline(*texts)) == count


@mark.parametrize(
    ("text", "number"),
    [("1. 2. 3.", 3), ("That was the Twelfth, twelve.", 12), ("one, then 12", 12), ("", 0)],
)
def test_the_last_number_counts(text: str, number: int) -> None:
    assert last_number(text) == number


def test_figures_of_several_streams() -> None:
    found = {
        each.name: each
        for each in score("x", [Counted(3, 3), Counted(2, 3), Counted(5, 0)]).figures
    }
    assert found["count accuracy"].value == approx(1 / 3)
    assert found["wrong by one at most"].value == approx(2 / 3)
    assert found["mean error"].value == approx(2.0)
    assert found["mean error"].low < 2.0 < found["mean error"].high
