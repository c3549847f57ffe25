"""A caller with its session's record: what is known outside an engine when that is lost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from soundflow.decoder import Decoder
from soundflow.engine import Engine
from soundflow.engine_session import Heard
from soundflow.features import Features
from soundflow.interaction import (
    NOTHING_PAST,
    EndReason,
    Kind,
    OpenTurn,
    Past,
    PastTurn,
    Piece,
    SessionSpec,
)
from tests.waiting import DEADLINE_S


@asynccontextmanager
async def engine(decoder: Decoder[Any]) -> AsyncIterator[Engine[Any]]:
    """Run an engine."""
    engine = Engine(decoder)
    task = asyncio.create_task(engine.run())
    await asyncio.wait_for(engine.started.wait(), DEADLINE_S)
    yield engine
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@dataclass
class ToldTurn:
    """A turn as a caller has it: final text is never replaced."""

    kind: Kind
    chunk: int
    pieces: dict[int, Piece] = field(default_factory=dict)
    ended: EndReason | None = None

    def take(self, piece: Piece) -> None:
        if piece.ended:
            assert self.ended is None
            self.ended = piece.ended
        elif piece.sequence not in self.pieces or not self.pieces[piece.sequence].final:
            self.pieces[piece.sequence] = piece

    @property
    def text(self) -> str:
        return "".join(self.pieces[sequence].text for sequence in sorted(self.pieces))


@dataclass
class Caller:
    """Everything that one session told, by turns, and the past that rebuilds it."""

    spec: SessionSpec
    turns: dict[int, ToldTurn] = field(default_factory=dict)
    decided: int = -1
    newest: Heard | None = None

    @property
    def past(self) -> Past:
        if self.newest is None:
            return NOTHING_PAST
        items = sorted(self.turns.items())
        return Past(
            tuple(PastTurn(n, t.kind, t.text, t.chunk) for n, t in items if t.ended),
            tuple(OpenTurn(n, t.kind, t.chunk) for n, t in items if not t.ended),
            self.newest.window_start,
            self.decided,
            self.newest.memory,
        )

    @property
    def told(self) -> dict[int, tuple[Kind, str, EndReason | None]]:
        return {n: (t.kind, t.text, t.ended) for n, t in sorted(self.turns.items())}

    def decide(self, heard: Heard) -> list[int]:
        """Take a decision; return the turns that it opens."""
        if heard.decision.index <= self.decided:
            return []
        self.newest, self.decided = heard, heard.decision.index
        new = [start for start in heard.decision.turns if start.turn not in self.turns]
        for start in new:
            self.turns[start.turn] = ToldTurn(start.kind, heard.decision.index)
        return [start.turn for start in new]

    async def run(
        self,
        engine: Engine[Any],
        session_id: str,
        stream: Sequence[Features],
        *,
        at_once: int = 1,
    ) -> list["Caller"]:
        """Hear the stream from where it is on, and follow every turn to its end.

        at_once: so many chunks are queued together. Return the caller as it was right after each
        decision, before any of its text.
        """
        was: list[Caller] = []
        async with asyncio.timeout(6 * DEADLINE_S), asyncio.TaskGroup() as following:

            def follow(turn: int) -> None:
                following.create_task(self._follow(engine, session_id, turn))

            expected = await engine.open(session_id, self.spec, self.past)
            for turn in [turn for turn, told in self.turns.items() if not told.ended]:
                follow(turn)
            while stream[expected:]:
                together = stream[expected : expected + at_once]
                expected += len(together)
                for heard in await asyncio.gather(
                    *(engine.hear(replace(each, session_id=session_id)) for each in together)
                ):
                    for turn in self.decide(heard):
                        follow(turn)
                was.append(deepcopy(self))
        return was

    async def _follow(self, engine: Engine[Any], session_id: str, turn: int) -> None:
        async for piece in engine.speak(session_id, turn):
            assert piece.turn == turn
            self.turns[turn].take(piece)
