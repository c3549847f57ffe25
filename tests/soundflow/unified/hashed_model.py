"""A language model of which every token depends on all that its lane was fed, to the last bit.

Whatever is fed in another order, or comes from another session, makes it say something else.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import cast

import torch
from torch import Tensor

from soundflow.unified.config import DecoderConfig
from soundflow.unified.pages import Lane
from soundflow.unified.tokens import ControlTokens, TextTokens
from soundflow.unified.transformer import LanguageModel
from tests.soundflow.unified.byte_bpe import byte_bpe

FIRST_CONTROL = 300  # the small tokeniser's numbers are below
WIDTH = 4


def control_tokens() -> ControlTokens:
    names = [field.name for field in fields(ControlTokens) if field.name != "system"]
    ids = {name: FIRST_CONTROL + place for place, name in enumerate(names)}
    return ControlTokens(**ids, system=ids["text_begin"])


@cache
def text_tokens() -> TextTokens:
    return TextTokens(byte_bpe(), control_tokens())


class HashedModel:
    """Stands in for a LanguageModel. `fed` holds what each lane was fed and kept, as rows.

    responds, ends: how often, of 100, a decision is `respond`, and a turn's next token its end.
    odd: how often a token is any number of the vocabulary.
    """

    def __init__(self, *, responds: int = 35, ends: int = 15, odd: int = 5) -> None:
        self.config = DecoderConfig(
            1, WIDTH, 1, 1, 2, 2, vocabulary=FIRST_CONTROL + 32, max_positions=4096
        )
        self.control = control_tokens()
        self.responds, self.ends, self.odd = responds, ends, odd
        self.fed: dict[int, tuple[Lane, list[bytes]]] = {}
        self.batches: list[list[int]] = []

    def cast(self) -> LanguageModel:
        return cast(LanguageModel, self)

    def embed(self, ids: Sequence[int]) -> Tensor:
        tokens = torch.tensor(list(ids), dtype=torch.float32)
        return torch.stack([tokens, *[torch.zeros(len(ids))] * (WIDTH - 1)], dim=1)

    def extend(self, batch: Sequence[tuple[Lane, Tensor]]) -> Tensor:
        lanes = [lane for lane, _ in batch]
        counts = [len(rows) for _, rows in batch]
        logits = torch.zeros(len(batch), self.config.vocabulary)
        starts = [lane.length for lane in lanes]
        with lanes[0].cache.extending(lanes, counts):
            for row, ((lane, embedded), start) in enumerate(zip(batch, starts, strict=True)):
                logits[row, self._next(self._add(lane, start, embedded))] = 1
        self.batches.append(counts)
        return logits

    def tokens_of(self, lane: Lane) -> list[int]:
        """Return what a lane holds, -1 where it is a frame."""
        rows = [struct.unpack("4f", row) for row in self.fed[id(lane)][1][: lane.length]]
        return [-1 if any(row[1:]) else int(row[0]) for row in rows]

    def _add(self, lane: Lane, start: int, embedded: Tensor) -> list[bytes]:
        _, rows = self.fed.setdefault(id(lane), (lane, []))
        assert len(rows) >= start
        del rows[start:]
        rows += [struct.pack("4f", *row) for row in embedded.tolist()]
        return rows

    def _next(self, rows: list[bytes]) -> int:
        chance = zlib.crc32(b"".join(rows))
        percent, chance = chance % 100, chance // 100
        if percent < self.odd:
            return chance % self.config.vocabulary
        percent = chance % 100
        chance //= 100
        if struct.unpack("4f", rows[-1])[0] == self.control.assistant:
            return self.control.text_begin if percent < self.responds else self.control.silence
        if percent < self.ends:
            return self.control.text_end
        if percent < self.ends + 10:
            return self.control.happy + chance % 6
        return 1 + chance % 250
