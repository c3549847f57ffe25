"""After a rebuild: which of the turns that a decoder opens are known to callers already.

A decoder that hears the end of a session's past again opens again what was open or finished then,
under numbers of its own. Callers see the old numbers, nothing twice, and no number used again.
"""

import dataclasses
from collections.abc import Iterable
from functools import partial

from soundflow.interaction import Kind, OpenTurn, Past, PastTurn, Piece, TurnStart

# How far apart the same turn may begin when it is heard again: chunks that were drained together
# are heard one by one then.
FOUND_WITHIN_CHUNKS = 5


class Numbering:
    """Translates a decoder's numbers of turns into those that callers know.

    A turn that callers know the end of is mute: what is said in it again is dropped.
    """

    def __init__(self, past: Past) -> None:
        known: list[PastTurn | OpenTurn] = [*past.turns, *past.open_turns]
        self._decided = past.decided
        self._missing = known  # not opened again so far
        self._open = {each.turn for each in past.open_turns} - {each.turn for each in past.turns}
        self._told = {each.turn for each in known}
        self._newest = max(self._told, default=0)
        self._callers: dict[int, int] = {}  # by the decoder's number; of turns that are not over
        self._mute: set[int] = set()
        self._unnamed: dict[int, TurnStart] = {}  # new ones that replayed decisions opened

    def name(self, starts: Iterable[TurnStart], index: int) -> tuple[TurnStart, ...]:
        """Return what a decision on chunk `index` names, in callers' numbers.

        One that callers know already names no turn that is new to them; the first one after it
        does that instead.
        """
        found = [start for start in map(partial(self._number, index), starts) if start]
        if index <= self._decided:
            new = [start for start in found if start.turn not in self._told]
            self._unnamed |= {start.turn: start for start in new}
            return tuple(start for start in found if start.turn in self._told)
        unnamed, self._unnamed = self._unnamed, {}
        return tuple((unnamed | {start.turn: start for start in found}).values())

    def translate(self, piece: Piece) -> Piece | None:
        """Return a piece as callers know it; None when it is of a mute turn, or one never named."""
        turn = self._callers.get(piece.turn)
        if piece.ended:
            self._callers.pop(piece.turn, None)
            self._mute.discard(piece.turn)
        return None if turn is None else dataclasses.replace(piece, turn=turn)

    def decoders(self, turn: int) -> int | None:
        """Return the decoder's number of a turn; None where it has not opened it again."""
        return next((own for own, callers in self._callers.items() if callers == turn), None)

    def finish(self, turn: int) -> None:
        """Note that a turn is over for callers: opened again it is mute."""
        self._open.discard(turn)

    def give_up(self) -> list[int]:
        """Return the open turns that were not opened again; nothing is looked for any more."""
        missing = [each.turn for each in self._missing if each.turn in self._open]
        self._missing = []
        return missing

    def _number(self, index: int, start: TurnStart) -> TurnStart | None:
        """Return a turn as callers know it, or will; None when it is mute."""
        if start.turn not in self._callers and start.turn not in self._mute:
            self._number_first(index, start)
        if start.turn in self._mute:
            return None
        return dataclasses.replace(start, turn=self._callers[start.turn])

    def _number_first(self, index: int, start: TurnStart) -> None:
        found = self._find(index, start.kind) if index <= self._decided else None
        if found is None:
            self._newest = max(start.turn, self._newest + 1)
            self._callers[start.turn] = self._newest
            return
        self._missing.remove(found)
        if found.turn in self._open:
            self._callers[start.turn] = found.turn
        else:
            self._mute.add(start.turn)

    def _find(self, index: int, kind: Kind) -> PastTurn | OpenTurn | None:
        """Return the turn that callers know of this kind that began nearest to a chunk."""

        def distance(known: PastTurn | OpenTurn) -> tuple[int, int]:
            return abs(known.chunk - index), known.turn

        same_kind = [each for each in self._missing if each.kind is kind]
        nearest = min(same_kind, key=distance, default=None)
        if nearest is None or abs(nearest.chunk - index) > FOUND_WITHIN_CHUNKS:
            return None
        return nearest
