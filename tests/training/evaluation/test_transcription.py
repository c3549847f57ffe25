from pytest import approx

from tests.training.evaluation.saying import turn
from training.evaluation.subject import Heard
from training.evaluation.transcription import compare, compare_live, error_rate, score, screens
from training.evaluation.words import Spoken

LIVE = Heard(
    4,
    (turn(0, (0, "press a"), (1, "press the")), turn(2, (2, "key"), (3, "key now"))),
)


def test_errors_are_counted_over_all_words_of_all_recordings() -> None:
    one = compare("Press the key now.", "press a key")  # one other, one missing
    other = compare("Thank you", "thank you")
    assert (one.errors, one.words) == (2, 4)
    assert error_rate([one, other]) == approx(2 / 6)


def test_the_screen_shows_all_turns_after_each_chunk_that_changed_it() -> None:
    assert [(shown.at_ms, shown.text) for shown in screens(LIVE)] == [
        (400, "press a"),
        (800, "press the"),
        (1200, "press the key"),
        (1600, "press the key now"),
    ]


def test_a_word_is_delayed_from_its_end_to_the_screen_that_first_has_it_right() -> None:
    spoken = [Spoken("press", 0, 300), Spoken("the", 300, 390), Spoken("key", 500, 900)]
    told = compare_live("press the key", spoken, LIVE)
    assert told.delays_ms == (100, 410, 300)
    assert told.errors == 1
    assert {f.name: f.value for f in score("live", [told]).figures} == {
        "word error rate": approx(1 / 3),
        "word delay, median": 300,
        "word delay, 90 %": 410,
    }


def test_without_times_there_are_errors_and_no_delays() -> None:
    [figure] = score("live", [compare_live("press the key now", [], LIVE)]).figures
    assert figure.value == 0
