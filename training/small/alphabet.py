"""The small model's tokens: plain letters and a few merges, then the control tokens.

With four million parameters a larger vocabulary does not pay: every piece has to be seen often
enough to be heard. So text is lower-case letters, digits and apostrophes; all else is a space.
"""

from collections.abc import Iterable, Iterator
from dataclasses import fields

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from soundflow.unified.tokens import ControlTokens

LETTERS = " '0123456789abcdefghijklmnopqrstuvwxyz"
TEXT_TOKENS = 64

_NORMALIZER = normalizers.Sequence(
    [
        normalizers.NFKD(),
        normalizers.StripAccents(),
        normalizers.Lowercase(),
        normalizers.Replace("’", "'"),
        normalizers.Replace(Regex("[^ '0-9a-z]+"), " "),
        normalizers.Replace(Regex(" +"), " "),
        normalizers.Strip(),
    ]
)


def plain(text: str) -> str:
    """Return a text as it is made of `LETTERS`."""
    normal: str = _NORMALIZER.normalize_str(text)
    return normal


def control_tokens() -> ControlTokens:
    """Return the control tokens, which follow those of text."""
    names = [field.name for field in fields(ControlTokens) if field.name != "system"]
    ids = {name: TEXT_TOKENS + place for place, name in enumerate(names)}
    return ControlTokens(**ids, system=ids["text_begin"])


def vocabulary() -> int:
    """Return how many tokens there are in all."""
    return max(control_tokens().ids) + 1


def tokenizer_of(texts: Iterable[str]) -> Tokenizer:
    """Learn the merges from texts. The same texts give the same tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = _NORMALIZER
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    # A space is written "Ġ" by a byte-level tokenizer.
    letters = [letter.replace(" ", "Ġ") for letter in LETTERS]
    trainer = trainers.BpeTrainer(
        vocab_size=TEXT_TOKENS, initial_alphabet=letters, show_progress=False
    )
    tokenizer.train_from_iterator(_each(texts), trainer)
    if tokenizer.get_vocab_size() != TEXT_TOKENS:
        raise ValueError(f"too little text for {TEXT_TOKENS} tokens")
    return tokenizer


def _each(texts: Iterable[str]) -> Iterator[str]:
    return (text for text in texts if plain(text))
