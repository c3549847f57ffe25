import pytest

from soundflow.unified.tokens import TextTokens
from tests.training.small.material import WORDS
from training.small.alphabet import (
    TEXT_TOKENS,
    control_tokens,
    plain,
    tokenizer_of,
    vocabulary,
)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Hello, World!", "hello world"),
        ("It’s 5 o'clock.", "it's 5 o'clock"),
        ("Café, naïve — déjà vu", "cafe naive deja vu"),
        ("  \n多い ", ""),
    ],
)
def test_text_is_letters_digits_and_apostrophes(written: str, kept: str) -> None:
    assert plain(written) == kept


def test_any_text_goes_through_the_tokens_as_it_is_kept() -> None:
    tokens = TextTokens(tokenizer_of(WORDS * 3), control_tokens())
    for text in ("It's raining, over there.", "Zyzzyva 0123456789", "“quoted” & more", ""):
        ids = tokens.encode(text)
        assert tokens.decode(ids) == plain(text)
        assert all(token < TEXT_TOKENS for token in ids)


def test_control_tokens_follow_those_of_text() -> None:
    ids = control_tokens().ids
    assert min(ids) == TEXT_TOKENS
    assert max(ids) == vocabulary() - 1


def test_too_little_text_is_an_error() -> None:
    with pytest.raises(ValueError, match="too little text"):
        tokenizer_of(["a b"])
