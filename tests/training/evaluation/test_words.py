"""How transcripts are scored, on texts and times small enough to work out by hand."""

import pytest

from training.evaluation.words import Shown, Spoken, comparable, delays_ms, word_errors

SAID = [Spoken("press", 0, 400), Spoken("the", 400, 600), Spoken("key", 600, 1_000)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Press 1, now!", "press one now"),
        ("I'm sorry; you’re out.", "I am sorry you are out"),
        ("press * or #", "press star or pound"),
        ("touch-tone", "touch tone"),
    ],
)
def test_spelling_makes_no_difference(one: str, other: str) -> None:
    assert comparable(one) == comparable(other)


def test_words_make_a_difference() -> None:
    assert comparable("press one") != comparable("press two")


@pytest.mark.parametrize(
    ("heard", "errors"),
    [("a b c", 0), ("a x c", 1), ("a c", 1), ("a b b c", 1), ("", 3)],
    ids=["right", "substituted", "missing", "inserted", "empty"],
)
def test_word_errors_are_counted(heard: str, errors: int) -> None:
    assert word_errors(["a", "b", "c"], heard.split()) == errors


def test_a_delay_runs_from_the_words_end_to_its_first_right_showing() -> None:
    screens = [Shown(500, "Dress"), Shown(900, "press the"), Shown(1_300, "Press the key.")]
    assert delays_ms(SAID, screens) == [500, 300, 300]


def test_a_word_that_turns_wrong_later_keeps_its_first_delay() -> None:
    screens = [Shown(700, "press the"), Shown(1_300, "rest the key")]
    assert delays_ms(SAID, screens) == [300, 100, 300]


def test_a_word_that_was_never_right_has_no_delay() -> None:
    assert delays_ms(SAID, [Shown(1_200, "press a key")]) == [800, 200]


def test_a_word_shown_before_it_began_does_not_count() -> None:
    assert delays_ms(SAID, [Shown(300, "press the key")]) == [-100]
