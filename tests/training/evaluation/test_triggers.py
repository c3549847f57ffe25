from pytest import approx

from training.evaluation.figures import Figure
from training.evaluation.triggers import Outcome, accuracy, match, score


def figures(outcomes: list[Outcome]) -> dict[str, Figure]:
    return {figure.name: figure for figure in score("streams", outcomes).figures}


def test_a_reply_at_its_chunk_or_soon_after_is_a_hit() -> None:
    assert match(20, [4, 10], [4, 12]) == Outcome(20, (True, True), (0, 2), ())


def test_a_reply_before_its_evidence_is_a_false_alarm() -> None:
    assert match(20, [4], [3]) == Outcome(20, (False,), (), (3,))


def test_a_reply_that_comes_too_late_is_both_a_miss_and_a_false_alarm() -> None:
    assert match(20, [4], [8]) == Outcome(20, (False,), (), (8,))


def test_one_reply_answers_one_event() -> None:
    assert match(20, [4, 5], [5]) == Outcome(20, (True, False), (1,), ())
    assert match(20, [4], [4, 5]) == Outcome(20, (True,), (0,), (5,))


def test_the_figures_of_two_streams() -> None:
    one, other = match(100, [10, 20, 30], [10, 21]), match(50, [], [7])
    found = figures([one, other])
    assert found["recall"].value == approx(2 / 3)
    assert found["precision"].value == approx(2 / 3)
    assert found["trigger accuracy"].value == approx(1 - 2 / 150)
    assert found["false alarms"].value == approx(3600 / (150 * 0.4))
    assert found["delay, 90 %"].value == 400
    assert found["recall"].low < 2 / 3 < found["recall"].high
    assert found["false alarms"].low < 60 < found["false alarms"].high


def test_saying_nothing_where_nothing_is_due_is_all_right() -> None:
    assert accuracy([match(40, [], [])]) == 1.0
    found = figures([match(40, [], [])])
    assert found["false alarms"].value == 0
    assert found["false alarms"].high > 200  # 16 s prove little
