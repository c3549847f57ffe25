"""Sessions that come, hear, speak, are interrupted and leave, through the engine, all at once."""

import asyncio
import random
from collections import Counter
from contextlib import suppress
from typing import Any

from soundflow.decoder import DecoderFull
from soundflow.engine import Engine
from soundflow.engine_session import EngineError, NotOpen
from soundflow.interaction import Ability, EndReason, SessionSpec
from tests.soundflow.following import engine
from tests.soundflow.unified.hashed_model import HashedModel
from tests.soundflow.unified.play import chunk, make_decoder
from tests.waiting import DEADLINE_S

CALLERS, PLACES, CALLS_EACH = 12, 8, 25


class Life:
    """One caller after the other under one name; how their turns ended is counted."""

    def __init__(self, engine: Engine[Any], name: str) -> None:
        self.engine, self.name = engine, name
        self.chance = random.Random(name)
        self.ends: Counter[EndReason | None] = Counter()
        self.refused = 0

    async def live(self) -> None:
        for number in range(CALLS_EACH):
            session_id = f"{self.name} {number}"
            spec = SessionSpec(abilities=frozenset(self.chance.sample(list(Ability), k=2)))
            await self.get_in(session_id, spec)
            await self.call(session_id)

    async def get_in(self, session_id: str, spec: SessionSpec) -> None:
        """Ask again and again, as long as all places are taken."""
        while True:
            try:
                await self.engine.open(session_id, spec)
                return
            except DecoderFull:
                self.refused += 1
                await asyncio.sleep(0.005)

    async def call(self, session_id: str) -> None:
        heard, following = [], []
        for index in range(self.chance.randint(0, 12)):
            heard.append(self.engine.hear(chunk(session_id, index)))
            if self.chance.random() < 0.5:
                for start in (await heard[-1]).decision.turns:
                    following.append(asyncio.create_task(self.follow(session_id, start.turn)))
            if self.chance.random() < 0.2:
                await self.engine.instruct(session_id, "hello")
            if self.chance.random() < 0.2:
                await self.engine.cancel(session_id, self.chance.randint(1, 9))
        await self.engine.close(session_id)
        for answer in await asyncio.gather(*heard, return_exceptions=True):
            assert isinstance(answer, NotOpen) or not isinstance(answer, BaseException)
        await asyncio.gather(*following)

    async def follow(self, session_id: str, turn: int) -> None:
        with suppress(EngineError):  # the call is over already
            self.ends[[piece.ended async for piece in self.engine.speak(session_id, turn)][-1]] += 1


async def test_all_that_comes_and_goes_leaves_nothing_behind() -> None:
    decoder, cache = make_decoder(HashedModel().cast(), sessions=PLACES)
    async with asyncio.timeout(6 * DEADLINE_S), engine(decoder) as running:
        lives = [Life(running, f"caller {number}") for number in range(CALLERS)]
        await asyncio.gather(*(life.live() for life in lives))
        assert cache.free_pages == cache.pages
        for place in range(PLACES):
            await running.open(f"after all {place}", SessionSpec())
    ends = sum((life.ends for life in lives), Counter())
    assert {EndReason.COMPLETE, EndReason.CANCELLED} <= ends.keys()
    assert ends[EndReason.ERROR] == 0
    assert sum(life.refused for life in lives) > 0
