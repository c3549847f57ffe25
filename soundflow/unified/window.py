"""What a session's sequence holds: prefix, past turns as text, then chunks and their answers.

The sequence only grows until its bounds are reached; then some chunks leave, and it is laid out
anew. So positions restart, and neither cost nor quality depends on how old a session is.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from soundflow.unified.settings import BLOCK_POSITIONS, SHORT_POSITIONS, UnifiedSettings
from soundflow.unified.tokens import ControlTokens

Frames = NDArray[np.float32]  # (BLOCK_FRAMES, width): one chunk's features
Ids = tuple[int, ...]

# One past turn gets no more of what all have together, so that a long one does not end the others.
PAST_TURN_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Segment:
    """Positions that are fed together. frames: instead of the PADs among `ids`."""

    ids: Ids
    frames: Frames | None = None


@dataclass(slots=True)
class Entry:
    """Chunks that were decided on together, from `first` on.

    frames: of each; while a lost session is laid out again, of those that came so far.
    answer: their control token, and where that was `respond` the turn up to its TEXT_END; empty
    while it is open.
    blocks: how many chunks they are.
    """

    first: int
    frames: list[Frames]
    answer: Ids = ()
    blocks: int = 0

    def __post_init__(self) -> None:
        self.blocks = self.blocks or len(self.frames)

    @property
    def last(self) -> int:
        """The newest chunk of it."""
        return self.first + self.blocks - 1

    @property
    def positions(self) -> int:
        """How long it is in the sequence."""
        return self.blocks * BLOCK_POSITIONS + len(self.answer)

    def keep_newest(self, blocks: int) -> None:
        """Let the oldest chunks go where there are more than that."""
        gone = max(0, self.blocks - blocks)
        self.first, self.blocks = self.first + gone, self.blocks - gone
        del self.frames[:gone]


@dataclass(slots=True)
class Window:
    """One session's sequence, as plain values. prefix: with the system prompt.

    width: of a frame.
    """

    control: ControlTokens
    settings: UnifiedSettings
    width: int
    prefix: Ids
    past: deque[Ids] = field(default_factory=deque)
    entries: list[Entry] = field(default_factory=list)

    @property
    def blocks(self) -> int:
        """How many chunks it holds."""
        return sum(entry.blocks for entry in self.entries)

    @property
    def entry_positions(self) -> int:
        """How long chunks and answers are together."""
        return sum(entry.positions for entry in self.entries)

    @property
    def positions(self) -> int:
        """How long the sequence is."""
        return len(self.prefix) + self._past_positions + self.entry_positions

    def has_room(self, chunks: int) -> bool:
        """Whether so many chunks, and a reply to them, can be added as it is."""
        blocks = answers = 0
        for entry in self.entries:  # in one go: this is asked after every chunk
            blocks += entry.blocks
            answers += len(entry.answer)
        positions = blocks * BLOCK_POSITIONS + answers + _needed(chunks)
        fits = blocks + chunks <= self.settings.window_chunks
        return fits and positions <= self._most_positions

    def make_room(self, chunks: int) -> int:
        """Let chunks leave, down to the lower mark: the silent ones first, the oldest first.

        The turns of those that were answered stay, as text. Where such chunks must leave, all that
        are old leave together: until the next time text and old chunks are as they were, and need
        not be fed again. Return how many entries from the beginning on are as they were; not the
        newest.
        """
        before = tuple(entry.first for entry in self.entries)
        newest = self.entries[-1].last if self.entries else 0
        old = newest - self.settings.kept_chunks
        if any(e.last <= newest - self.settings.span_chunks for e in self.entries):
            self._leave([e for e in self.entries if e.last <= old])
        # What was heard just now may be the beginning of a question: silent, and not to be lost.
        older = newest - self.settings.kept_chunks // 2
        self._let_go([e for e in self.entries if e.last <= older and self.is_silent(e)], chunks)
        if max(self._excess(chunks)) > 0:
            self._leave([e for e in self.entries if e.last <= old])
        self._let_go(self.entries, chunks)
        return shared(before, tuple(entry.first for entry in self.entries[:-1]))

    def is_silent(self, entry: Entry) -> bool:
        """Whether nothing was answered."""
        return entry.answer == (self.control.silence,)

    def remember(self, answer: Ids) -> None:
        """Keep a turn as text: of a long one the beginning, of many the newest.

        Where they are too many half of their room is made free at once: as long as turns are only
        added, a new layout begins as the one before, and that part need not be fed again.
        """
        most = self.settings.past_tokens
        longest = int(most * PAST_TURN_SHARE)
        if longest < 4 or len(answer) < 3:  # nothing was said
            return
        if len(answer) + 1 > longest:
            answer = (*answer[: longest - 2], self.control.text_end)
        self.past.append(answer)
        if self._past_positions > most:
            while self._past_positions > most // 2:
                self.past.popleft()

    @property
    def text(self) -> Ids:
        """What precedes the chunks: the prefix and the past turns."""
        turns = ((self.control.assistant, *answer) for answer in self.past)
        return (*self.prefix, *chain.from_iterable(turns))

    def entry_segments(self, first: int = 0) -> Iterator[Segment]:
        """Yield the chunks and their answers, from an entry on, to be fed behind the text."""
        for entry in self.entries[first:]:
            yield from self.block_segments(entry.frames)
            yield from text_segments(entry.answer)

    def block_segments(self, frames: Iterable[Frames]) -> Iterator[Segment]:
        """Yield chunks as they stand in the sequence."""
        return (Segment(self.control.block, each) for each in frames)

    @property
    def _past_positions(self) -> int:
        return sum(len(answer) + 1 for answer in self.past)

    @property
    def _most_positions(self) -> int:
        return self.settings.entry_positions(len(self.prefix))

    def _let_go(self, entries: Sequence[Entry], chunks: int) -> None:
        """Let entries leave until it is down to the lower mark; of the last one what it takes."""
        blocks, positions = self._excess(chunks)
        leaving = []
        for entry in entries:
            excess = max(blocks, -(-positions // BLOCK_POSITIONS))
            if excess < entry.blocks:
                entry.keep_newest(entry.blocks - max(0, excess))
                break
            blocks, positions = blocks - entry.blocks, positions - entry.positions
            leaving.append(entry)
        self._leave(leaving)

    def _excess(self, chunks: int) -> tuple[int, int]:
        """Return the blocks and the positions above the lower mark; negative below it."""
        kept, most = self.settings.kept_chunks, self.settings.window_chunks
        room = self._most_positions
        most_positions = max(0, min(room * kept // most, room - _needed(chunks)))
        blocks = self.blocks - min(kept, max(0, most - chunks))
        return blocks, self.entry_positions - most_positions

    def _leave(self, leaving: Sequence[Entry]) -> None:
        gone = {id(entry) for entry in leaving}
        for entry in leaving:
            if not self.is_silent(entry):
                self.remember(entry.answer)
        self.entries = [entry for entry in self.entries if id(entry) not in gone]


def text_segments(ids: Ids) -> Iterator[Segment]:
    """Yield text in parts of which a step can take at least one from everybody."""
    for start in range(0, len(ids), SHORT_POSITIONS):
        yield Segment(ids[start : start + SHORT_POSITIONS])


def shared(one: Ids, other: Ids) -> int:
    """Return how many tokens two texts have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _needed(chunks: int) -> int:
    return 1 + chunks * BLOCK_POSITIONS  # 1: the control token that is answered
