import json
import random
import unicodedata
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from soundflow.unified.tokens import ControlTokens, TextTokens
from tests.soundflow.unified.byte_bpe import SPECIALS, WORDS, byte_bpe

GOLDEN = Path(__file__).parents[2] / "golden" / "golden.npz"
STRANGE = ["é", "e\u0301", "日本", "🙂", "\ud800", "\x00", "  ", "\n", "ﬁ", "\u202e"]


def overlapping(tokenizer: Tokenizer) -> ControlTokens:
    """Make control tokens of numbers that ordinary text reaches, as the published ones are."""
    reached = [tokenizer.token_to_id(word) for word in ("hello", "hell", "world", "Ġthe", "Ġth")]
    special = [tokenizer.token_to_id(text) for text in SPECIALS]
    unreached = range(10_000, 10_100)
    ids = iter([*reached, *special, *unreached])
    names = [field.name for field in fields(ControlTokens) if field.name != "system"]
    numbers = {name: next(ids) for name in names}
    return ControlTokens(**numbers, system=numbers["text_begin"])


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return byte_bpe()


@pytest.fixture(scope="module")
def control(tokenizer: Tokenizer) -> ControlTokens:
    return overlapping(tokenizer)


@pytest.fixture(scope="module")
def text_tokens(tokenizer: Tokenizer, control: ControlTokens) -> TextTokens:
    return TextTokens(tokenizer, control)


def random_text(rng: random.Random) -> str:
    parts = [*SPECIALS, *WORDS, "<tool>", *STRANGE, "hello world the ", "plain text, 42. "]
    letters = [chr(rng.randrange(32, 0x2FFF)) for _ in range(10)]
    return "".join(rng.choice([*parts, *letters]) for _ in range(rng.randrange(1, 30)))


def as_read(text: str) -> str:
    return unicodedata.normalize("NFC", text.encode(errors="replace").decode())


def test_the_published_prefix_is_built() -> None:
    prefix = np.load(GOLDEN)["prefix_ids"].tolist()
    assert ControlTokens().prefix_ids(prefix[4:-1]) == tuple(prefix)


def test_a_block_is_twelve_positions() -> None:
    control = ControlTokens()
    assert control.block == (151_647, *[151_608] * 10, 151_602)


def test_emotions_are_known_by_their_tokens() -> None:
    emotions = ControlTokens(urgent=7).emotions
    assert emotions[151_614] == "happy"
    assert emotions[7] == "urgent"
    assert len(emotions) == 6


def test_two_control_tokens_of_one_number_are_refused() -> None:
    with pytest.raises(ValueError, match="pad and user|user and pad"):
        ControlTokens(pad=151_601)
    with pytest.raises(ValueError, match="silence=-1"):
        ControlTokens(silence=-1)


def test_a_plain_tokenizer_reads_control_tokens_where_ours_does_not(
    tokenizer: Tokenizer, control: ControlTokens, text_tokens: TextTokens
) -> None:
    text = "hello the world <|im_start|>"
    assert control.ids & set(tokenizer.encode(text).ids), "or this test shows nothing"
    assert not control.ids & set(text_tokens.encode(text))


def test_no_text_becomes_a_control_or_special_token(
    tokenizer: Tokenizer, control: ControlTokens, text_tokens: TextTokens
) -> None:
    rng = random.Random(1)
    special = {tokenizer.token_to_id(text) for text in (*SPECIALS, "<tool>")}
    for _ in range(2000):
        text = random_text(rng)
        tokens = text_tokens.encode(text)
        assert not (control.ids | special) & set(tokens), text
        assert text_tokens.decode(tokens) == as_read(text)


def test_text_without_control_tokens_is_encoded_as_the_model_learned_it(
    tokenizer: Tokenizer, text_tokens: TextTokens
) -> None:
    for text in ("hel wor", " t help", "日本 é"):
        assert text_tokens.encode(text) == tokenizer.encode(text).ids


def test_pieces_of_a_stream_are_whole_characters_and_join_to_the_whole_text(
    text_tokens: TextTokens,
) -> None:
    rng = random.Random(2)
    for _ in range(500):
        text = random_text(rng)
        stream = text_tokens.stream()
        pieces = [stream.add(token) for token in text_tokens.encode(text)]
        assert stream.end() == ""
        assert "".join(pieces) == as_read(text)
        assert all("\ufffd" not in piece for piece in pieces)


def test_any_tokens_decode_as_the_tokenizer_itself_decodes_them(
    tokenizer: Tokenizer, text_tokens: TextTokens, control: ControlTokens
) -> None:
    rng = random.Random(3)
    ids = [token for token in range(tokenizer.get_vocab_size()) if token not in control.ids]
    for _ in range(500):
        tokens = rng.choices(ids, k=rng.randrange(1, 20))
        stream = text_tokens.stream()
        joined = "".join(stream.add(token) for token in tokens) + stream.end()
        assert joined == text_tokens.decode(tokens)
        assert joined == tokenizer.decode(tokens)


def test_control_tokens_and_numbers_without_a_piece_have_no_text(text_tokens: TextTokens) -> None:
    silent = [*text_tokens.encode("hel"), 10_003, 999_999, 10_020]
    assert text_tokens.decode(silent) == "hel"


def test_another_kind_of_tokenizer_is_refused(tmp_path: Path, control: ControlTokens) -> None:
    words = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    with pytest.raises(ValueError, match="byte-level"):
        TextTokens(words, control)
    for text in ("{}", json.dumps({"model": 1}), "not JSON"):
        (tmp_path / "tokenizer.json").write_text(text)
        with pytest.raises(ValueError, match=r"tokenizer\.json"):
            TextTokens.from_file(tmp_path / "tokenizer.json", control)
    with pytest.raises(ValueError, match=r"nowhere\.json"):
        TextTokens.from_file(tmp_path / "nowhere.json", control)


def test_a_control_token_that_is_a_letter_is_refused(tokenizer: Tokenizer) -> None:
    letter = tokenizer.encode("h").ids[0]
    with pytest.raises(ValueError, match="no other way to write 'h'"):
        TextTokens(tokenizer, ControlTokens(pad=letter))
