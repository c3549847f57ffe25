"""The turns a cascade session has to say; each is stepped until it is over."""

from dataclasses import dataclass
from typing import Protocol

from soundflow.decoder import Speaking
from soundflow.interaction import EndReason, Piece, TurnStart


class Turn(Protocol):
    """Something being said. `start` is what the decision names."""

    @property
    def start(self) -> TurnStart:
        """The turn's number and kind."""
        ...

    def step(self) -> tuple[list[Piece], Speaking]:
        """Return what can be said now, without waiting for anything."""
        ...

    def cancel(self) -> None:
        """Give up: the next step ends the turn as cancelled."""
        ...


@dataclass(slots=True)
class Statement:
    """A turn whose text is known when it begins: advice, a description, a count, a notice."""

    start: TurnStart
    text: str
    cancelled: bool = False

    def step(self) -> tuple[list[Piece], Speaking]:
        """Say it all."""
        turn = self.start.turn
        if self.cancelled:
            return [Piece(turn, 0, ended=EndReason.CANCELLED)], Speaking.DONE
        said = Piece(turn, 0, self.text)
        return [said, Piece(turn, 1, ended=EndReason.COMPLETE)], Speaking.DONE

    def cancel(self) -> None:
        """Say nothing."""
        self.cancelled = True
