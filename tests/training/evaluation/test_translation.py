from math import isnan

import sacrebleu
from pytest import approx

from tests.training.evaluation.saying import turn
from training.evaluation.subject import Heard
from training.evaluation.translation import Translated, bleu, from_heard, lag_ms, score


def test_laal_by_hand() -> None:
    # Four words over 4 s of speech: an even translator says one each second, from 0 on.
    one = Translated("a b c d", "a b c d", (1000, 2000, 3000, 5000), 4000)
    assert lag_ms(one, "en") == approx((1000 + 1000 + 1000 + 2000) / 4)


def test_laal_counts_to_the_first_word_after_the_speech() -> None:
    one = Translated("a b c d", "a b c d", (1000, 4000, 4400, 4800), 4000)
    assert lag_ms(one, "en") == approx((1000 + 3000) / 2)


def test_saying_more_than_the_reference_does_not_look_faster() -> None:
    one = Translated("a b", "a b c d", (1000, 2000, 3000, 4000), 4000)
    assert lag_ms(one, "en") == approx(1000)  # as if four words had been due


def test_who_says_nothing_has_no_lag() -> None:
    assert isnan(lag_ms(Translated("a b", "", (), 4000), "en"))


def test_words_come_when_the_screen_that_first_has_as_many_is_shown() -> None:
    heard = Heard(6, (turn(1, (1, "one"), (1, "one two"), (3, "one too three")), turn(4, (5, "x"))))
    told = from_heard("one two three four", heard, "en", 2000)
    assert told.came_ms == (800, 800, 1600, 2400)
    assert told.hypothesis == "one too three x"


def test_chinese_counts_by_characters() -> None:
    heard = Heard(4, (turn(0, (0, "你好"), (2, "你好吗")),))
    assert from_heard("你好吗", heard, "zh", 1600).came_ms == (400, 400, 1200)
    assert bleu([Translated("今天天气很好", "今天天气很好")], "zh") == approx(100)


def test_bleu_is_that_of_the_corpus() -> None:
    pairs = [
        ("the cat sat on the mat today", "the cat sat on a mat"),
        ("yes it is so", "yes it is"),
    ]
    told = [Translated(reference, hypothesis) for reference, hypothesis in pairs]
    expected = sacrebleu.corpus_bleu([h for _, h in pairs], [[r for r, _ in pairs]]).score
    assert bleu(told, "en") == approx(expected)
    [figure] = score("en", told, "en").figures
    assert figure.low <= figure.value <= figure.high
