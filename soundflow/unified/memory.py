"""What of a session the chunks of its window do not tell: how they lie in its sequence.

Written with every decision; with it and the same chunks a session is laid out again, and goes on as
the lost one would have.
"""

import base64
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from pydantic import TypeAdapter, ValidationError

from soundflow.unified.window import Entry, Ids

log = logging.getLogger(__name__)

TOKEN_BYTES = 3  # of each token in the text, whose numbers stay below 2^24
PACKED_KEPT = 8192  # turns: some for each of a replica's sessions


@dataclass(frozen=True, slots=True)
class Run:
    """Like entries one after the other, each of `blocks` chunks; the first begins at `first`.

    answer: as `packed` writes it; "" = open, which only the newest can be; None = silent.
    """

    first: int
    blocks: int
    times: int
    answer: str | None


@dataclass(frozen=True, slots=True)
class Memory:
    """A session's sequence after a decision on chunk `newest`, without features.

    system: the text that it was opened with; its spec may hold a newer instruction by now.
    typed: instructions since then; next_typed: those from the next chunk on.
    past: turns as text, packed. drawn: of its sampler.
    """

    newest: int
    system: str
    typed: tuple[str, ...]
    next_typed: tuple[str, ...]
    past: tuple[str, ...]
    runs: tuple[Run, ...]
    drawn: int

    @classmethod
    def read(cls, text: str) -> "Memory | None":
        """Read what `written` wrote. None where there is nothing, or from another version."""
        if not text:
            return None
        try:
            return _MEMORY.validate_json(text)
        except ValidationError:
            log.exception("a session goes on without its audio: its memory is not readable")
            return None

    def written(self) -> str:
        """Return it as text: a kilobyte or so, some more where much was said."""
        return _MEMORY.dump_json(self).decode()

    def entries(self, silence: int) -> list[Entry]:
        """Return the entries, whose features are missing."""
        entries = []
        for run in self.runs:
            answer = (silence,) if run.answer is None else unpacked(run.answer)
            for first in range(run.first, run.first + run.times * run.blocks, run.blocks):
                entries.append(Entry(first, [], answer, run.blocks))
        return entries


def runs_of(entries: Iterable[Entry], silence: int) -> tuple[Run, ...]:
    """Return entries in short: most of them are single chunks, silent, one after the other."""
    runs: list[Run] = []
    silent = (silence,)
    first = blocks = times = 0  # of silent entries that are not written yet
    for entry in entries:
        is_silent = entry.answer == silent
        if times and is_silent and entry.blocks == blocks and entry.first == first + times * blocks:
            times += 1
            continue
        if times:
            runs.append(Run(first, blocks, times, None))
        first, blocks, times = entry.first, entry.blocks, int(is_silent)
        if not is_silent:
            runs.append(Run(first, blocks, 1, packed(entry.answer)))
    if times:
        runs.append(Run(first, blocks, times, None))
    return tuple(runs)


@lru_cache(maxsize=PACKED_KEPT)
def packed(ids: Ids) -> str:
    """Return tokens as text, four letters each. The same turns are packed with every decision."""
    bytes_N4 = np.array(ids, "<u4").view(np.uint8).reshape(-1, 4)
    return base64.b64encode(bytes_N4[:, :TOKEN_BYTES].tobytes()).decode()


def unpacked(text: str) -> Ids:
    """Return the tokens of a text that `packed` wrote."""
    bytes_N3 = np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, TOKEN_BYTES)
    return tuple(np.pad(bytes_N3, ((0, 0), (0, 1))).view("<u4")[:, 0].tolist())


_MEMORY = TypeAdapter(Memory)
