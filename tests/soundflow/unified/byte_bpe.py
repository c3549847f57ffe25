"""A small byte-level BPE of the kind that Qwen2's is, in which control tokens have ordinary pieces.

It stands in for the published tokeniser, which is not part of the project.
"""

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

# Pieces that merges lead to, so that plain text reaches their numbers.
WORDS = ("he", "hel", "hell", "hello", "wo", "wor", "worl", "world", "Ġt", "Ġth", "Ġthe")
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>")

# " ba", " bb" and so on.
SPOKEN = tuple(f" {first}{chr(97 + last)}" for first in "bc" for last in range(20))


def byte_bpe(
    specials: tuple[str, ...] = SPECIALS, *, first_special: int = 0, first_spoken: int = 0
) -> Tokenizer:
    """Make the tokeniser: 256 bytes, then WORDS, then from `first_special` on the special tokens.

    first_special: the gap up to it is filled with pieces that no text makes.
    first_spoken: from this number on it has the words of SPOKEN, which text does make.
    """
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*WORDS, *(f"Ġ{letter}" for letter in "bc")]
    pieces = [*letters, *words]
    if first_spoken:
        pieces += [f"Ġ{number}Ġ" for number in range(len(pieces), first_spoken)]
        spoken = [word.replace(" ", "Ġ") for word in SPOKEN]
        words, pieces = words + spoken, pieces + spoken
    pieces += [f"Ġ{number}Ġ" for number in range(len(pieces), first_special)]
    merges = [_merge(word) for word in words]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in specials])
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False)])
    return tokenizer


def _merge(word: str) -> tuple[str, str]:
    return word[:-1], word[-1]
