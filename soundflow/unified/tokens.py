"""The unified model's alphabet: control tokens, the layouts they make, and text that is only text.

Control tokens are ordinary numbers to the network, and some of them ordinary pieces to the
tokeniser. Nothing that a person writes or says may turn into one: `TextTokens` sees to that.
"""

import codecs
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Self

from tokenizers import Tokenizer

# A chunk's frames, each of which takes the place of one PAD of the chunk's block.
BLOCK_FRAMES = 10


@dataclass(frozen=True, kw_only=True)  # no slots: what is cached needs a place
class ControlTokens:
    """The tokens that are no text, by default with the published model's numbers.

    text_begin: as an answer to a block it means `respond`. silence: it means `silent`.
    happy to urgent: a turn's emotion, between text_begin and its first text.
    user, offline, audio_pad, audio_end: used in training alone.
    """

    user: int = 151_601
    assistant: int = 151_602
    silence: int = 151_605
    pad: int = 151_608
    online: int = 151_609
    offline: int = 151_610
    english: int = 151_611
    happy: int = 151_614
    sad: int = 151_615
    angry: int = 151_616
    surprise: int = 151_617
    normal: int = 151_618
    urgent: int = 151_619
    text_end: int = 151_643
    text_begin: int = 151_644
    system: int = 151_644  # the same token as text_begin, which is how the model was trained
    audio_pad: int = 151_646
    audio_begin: int = 151_647
    audio_end: int = 151_648

    def __post_init__(self) -> None:
        names: dict[int, str] = {}
        for field in fields(self):
            token = getattr(self, field.name)
            if token < 0:
                raise ValueError(f"a token is a number from 0 on, got {field.name}={token}")
            other = names.setdefault(token, field.name)
            if other != field.name and {other, field.name} != {"text_begin", "system"}:
                raise ValueError(f"{other} and {field.name} are both {token}")

    @cached_property
    def ids(self) -> frozenset[int]:
        """All of them."""
        return frozenset(getattr(self, field.name) for field in fields(self))

    @cached_property
    def emotions(self) -> Mapping[int, str]:
        """The emotions' names, by their tokens."""
        names = ("happy", "sad", "angry", "surprise", "normal", "urgent")
        return {getattr(self, name): name for name in names}

    @cached_property
    def block(self) -> tuple[int, ...]:
        """What one chunk appends; the embeddings of its PADs are replaced by the frames."""
        return (self.audio_begin, *[self.pad] * BLOCK_FRAMES, self.assistant)

    def prefix_ids(self, system_ids: Sequence[int]) -> tuple[int, ...]:
        """Return what a live session begins with. system_ids: of the system prompt's text."""
        begin = (self.online, self.english, self.system, self.text_begin)
        return (*begin, *system_ids, self.text_end)


class TextTokens:
    """Text as tokens and back; built on a byte-level BPE, as Qwen2's is."""

    def __init__(self, tokenizer: Tokenizer, control: ControlTokens) -> None:
        """ValueError when the tokeniser is of another kind, or cannot avoid a control token."""
        plain = json.loads(tokenizer.to_str())
        if (plain["decoder"] or {}).get("type") != "ByteLevel":
            raise ValueError("the tokenizer is not a byte-level BPE: its decoder is another one")
        added = {token["id"]: token for token in plain["added_tokens"]}
        # Without these, the spelling of a special token is read letter by letter, as any text is.
        plain |= {"added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
        self._plain = Tokenizer.from_str(json.dumps(plain))
        self._vocabulary = self._plain.get_vocab(with_added_tokens=False)
        self._pieces = {token: piece for piece, token in self._vocabulary.items()}
        if not set().union(*self._vocabulary) <= _BYTES.keys():
            raise ValueError("the tokenizer is not a byte-level BPE: its vocabulary is another one")
        self._added = {
            token: "" if entry["special"] else entry["content"] for token, entry in added.items()
        }
        self._reserved = control.ids | added.keys()
        self._control = control.ids
        self._respelled = {
            token: tuple(self._respell(self._pieces[token]))
            for token in self._reserved & self._pieces.keys()
        }

    @classmethod
    def from_file(cls, path: Path, control: ControlTokens) -> Self:
        """Read a `tokenizer.json`. ValueError, which names the file."""
        try:
            tokenizer = Tokenizer.from_file(str(path))
            return cls(tokenizer, control)
        except Exception as error:  # the tokenizers library raises nothing narrower
            raise ValueError(f"{path}: {error}") from error

    def encode(self, text: str) -> list[int]:
        """Return the text's tokens, none of which is a control token or a special one."""
        whole = text.encode(errors="replace").decode()  # JSON may bring half a surrogate pair
        tokens = self._plain.encode(whole, add_special_tokens=False).ids
        return [part for token in tokens for part in self._respelled.get(token, (token,))]

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of all the tokens; control tokens have none."""
        stream = self.stream()
        return "".join(stream.add(token) for token in tokens) + stream.end()

    def stream(self) -> "TextStream":
        """Begin to decode a text that is still being made."""
        return TextStream(self)

    def bytes_of(self, token: int) -> bytes:
        """Return a token's share of a text, which may be part of a character."""
        if token in self._control:
            return b""
        if token in self._added:
            return self._added[token].encode()
        return bytes(_BYTES[letter] for letter in self._pieces.get(token, ""))

    def _respell(self, piece: str) -> Iterable[int]:
        """Cut a reserved piece into ordinary ones, each as long as may be."""
        while piece:
            for length in range(len(piece), 0, -1):
                token = self._vocabulary.get(piece[:length])
                if token is not None and token not in self._reserved:
                    yield token
                    piece = piece[length:]
                    break
            else:
                raise ValueError(f"the tokenizer has no other way to write {piece!r}")


class TextStream:
    """Decodes one text token by token, and never gives out half a character."""

    def __init__(self, tokens: TextTokens) -> None:
        self._tokens = tokens
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token: int) -> str:
        """Return what the token makes complete, which may be nothing."""
        return self._decoder.decode(self._tokens.bytes_of(token))

    def end(self) -> str:
        """Return what is left: U+FFFD where the text ends within a character."""
        return self._decoder.decode(b"", final=True)


def _byte_letters() -> Mapping[str, int]:
    """Return which byte each letter of a byte-level vocabulary stands for.

    Printable Latin-1 stands for itself; the other bytes, in order, for the letters from 256 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + place): byte for place, byte in enumerate(others)
    }


_BYTES = _byte_letters()
