from math import isnan, nan
from pathlib import Path

from pytest import approx, mark

from tests.training.evaluation.saying import turn
from training.evaluation import stability
from training.evaluation.answers import Answered, chose, named, score, score_judged
from training.evaluation.formats import Item
from training.evaluation.judging import mark_of
from training.evaluation.triggers import match

DOG = Item("1", Path("a.wav"), "?", ("a barking dog",), ("a barking dog", "a cat", "a car"))
CAPITAL = Item("2", Path("b.wav"), "?", ("The Hague", "Den Haag"))


@mark.parametrize(
    ("reply", "right"),
    [
        ("It is a barking dog.", True),
        ("(A) A Barking Dog", True),
        ("a dog", False),
        ("a barking dog, not a cat", False),
        ("", False),
    ],
)
def test_a_choice_is_made_by_all_of_its_words_and_none_of_the_others(
    reply: str, right: bool
) -> None:
    assert chose(DOG, reply) == right


@mark.parametrize(
    ("reply", "right"),
    [
        ("I think it's Hague.", True),
        ("That would be den Haag, of course.", True),
        ("Haagen", False),
        ("", False),
    ],
)
def test_a_fact_is_named_in_whole_words(reply: str, right: bool) -> None:
    assert named(CAPITAL, reply) == right


def test_shares_are_told_for_each_group() -> None:
    replies = ["yes", "no", "yes", ""]
    items = [Item(str(n), Path(), "?", ("yes",), group="ab"[n % 2]) for n in range(4)]
    answered = [Answered(item, reply) for item, reply in zip(items, replies, strict=True)]
    found = {figure.name: figure.value for figure in score("qa", answered, named).figures}
    assert found == {"accuracy": 0.5, "unanswered": 0.25, "a": 1.0, "b": 0.0}


def test_without_a_judge_there_is_no_mark() -> None:
    [mark_, silent] = score_judged("chat", [Answered(CAPITAL, "hello")], None).figures
    assert isnan(mark_.value)
    assert "no judge" in mark_.note
    assert silent.value == 0


def test_a_mark_is_the_mean_of_those_that_were_given() -> None:
    marks = {"good": 5.0, "bad": 2.0, "odd": float("nan")}
    answered = [Answered(CAPITAL, reply) for reply in marks]
    [given, _] = score_judged("chat", answered, lambda question, reply: marks[reply]).figures
    assert given.value == approx(3.5)
    assert given.of == 2
    assert "no mark to 1" in given.note


@mark.parametrize(
    ("text", "number"), [("4", 4), ("Mark: 3.5", 3.5), ("I give it a 5.", 5), ("10", nan)]
)
def test_marks_are_read_from_what_a_judge_says(text: str, number: float) -> None:
    assert mark_of(text) == approx(number, nan_ok=True)


def test_stability_is_the_recall_of_each_turn() -> None:
    assert turn(0).text == "ok"
    outcomes = [match(50, [5, 15, 25], [5, 15]), match(50, [5], [6]), match(50, [5, 15], [5, 15])]
    found = {f.name: f for f in stability.score("turns", outcomes).figures}
    assert found["turn 1"].value == 1.0
    assert found["turn 2"].value == 1.0
    assert found["turn 3"].value == 0.0
    assert isnan(found["turn 4"].value)
    assert (found["all of 1"].value, found["all of 2"].value, found["all of 3"].value) == (1, 1, 0)
