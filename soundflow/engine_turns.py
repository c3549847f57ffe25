"""The turns of one session as callers follow them: kept from the first piece, also when over."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from soundflow.interaction import EndReason, Piece

# Whoever lost a connection in the middle of a turn is back before so many more have ended.
KEPT_ENDED_TURNS = 16


@dataclass(slots=True)
class Turn:
    """A turn's pieces: the newest of each sequence, in the order in which they came.

    changed: set whenever something came; every follower clears it before it waits.
    taken: somebody has followed it to its end, and done with that what was to be done.
    """

    _pieces: dict[int, tuple[int, Piece]] = field(default_factory=dict)
    _end: Piece | None = None
    _came: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    taken: bool = False

    @property
    def over(self) -> bool:
        """Nothing more will come."""
        return self._end is not None

    def put(self, piece: Piece) -> None:
        """Add a piece; it takes the place of a provisional one. After the end nothing counts."""
        if self.over:
            return
        if piece.ended:
            self._end = piece
        else:
            self._came += 1
            self._pieces.pop(piece.sequence, None)  # so that the new one comes last
            self._pieces[piece.sequence] = (self._came, piece)
        self.changed.set()

    async def follow(self) -> AsyncIterator[Piece]:
        """Yield all pieces from the first on, until the end."""
        seen = 0
        while True:
            unseen = next((each for each in self._pieces.values() if each[0] > seen), None)
            if unseen:
                seen, piece = unseen
                yield piece
            elif self._end:
                yield self._end
                self.taken = True
                return
            else:
                self.changed.clear()
                await self.changed.wait()


@dataclass(slots=True)
class Turns:
    """One session's turns: those that are open, and the newest of those that ended."""

    _turns: dict[int, Turn] = field(default_factory=dict)
    _ended: deque[int] = field(default_factory=deque)

    def __contains__(self, turn: int) -> bool:
        return turn in self._turns

    def __getitem__(self, turn: int) -> Turn:
        return self._turns[turn]

    @property
    def all_taken(self) -> bool:
        """Whether callers have all that was said, as far as turns are kept."""
        return all(self._turns[turn].taken for turn in self._ended)

    def open(self, turn: int) -> None:
        """Make a turn that can be followed; one that is there stays as it is."""
        self._turns.setdefault(turn, Turn())

    def put(self, piece: Piece) -> None:
        """Add a piece to its turn."""
        self.open(piece.turn)
        turn = self._turns[piece.turn]
        if piece.ended and not turn.over:
            self._ended.append(piece.turn)
        turn.put(piece)
        while len(self._ended) > KEPT_ENDED_TURNS:
            del self._turns[self._ended.popleft()]

    def end_all(self, reason: EndReason) -> None:
        """End every turn that is open."""
        for number, turn in list(self._turns.items()):
            if not turn.over:
                self.put(Piece(number, sequence=0, ended=reason))
