"""The published conversation through the engine: every token, whoever else is there."""

import asyncio
import random
from functools import cache
from typing import Any

import numpy as np
import pytest

from soundflow.engine import Engine
from soundflow.features import Features
from soundflow.interaction import Ability, Action, EndReason, SessionSpec
from soundflow.unified.decoder import UnifiedDecoder
from soundflow.unified.pages import PagedCache
from soundflow.unified.settings import UnifiedSettings
from soundflow.unified.tokens import ControlTokens, TextTokens
from soundflow.unified.transformer import LanguageModel
from tests import golden
from tests.golden import published, published_decoder
from tests.soundflow.following import engine
from tests.soundflow.unified.byte_bpe import byte_bpe
from tests.waiting import DEADLINE_S

# Every golden id has a piece of its own in this tokeniser.
BEYOND_GOLDEN_TEXT = 1100
SEED = 6
SETTINGS = UnifiedSettings(positions=4096)
# Its turns are not interrupted, so that chunks may come while it speaks.
SPEC = SessionSpec(abilities=frozenset({Ability.TRANSCRIBE}))


class GoldenText(TextTokens):
    """Whatever the system prompt is, its tokens are the published session's."""

    def encode(self, text: str) -> list[int]:
        return golden.prefix_ids()[4:-1]


@cache
def text_tokens() -> GoldenText:
    return GoldenText(byte_bpe(first_special=BEYOND_GOLDEN_TEXT), ControlTokens())


@cache
def language_model() -> LanguageModel:
    return published_decoder.language_model()


def make_decoder(sessions: int, page_positions: int) -> UnifiedDecoder:
    lm = language_model()
    pages = sessions * -(-SETTINGS.positions // page_positions)
    cache = PagedCache(lm.config, pages, page_positions)
    return UnifiedDecoder(lm, cache, ControlTokens(), text_tokens(), SETTINGS)


async def converse(engine: Engine[Any], chance: random.Random) -> list[tuple[Action, str]]:
    """Let the golden session hear its chunks, each once the one before is decided on.

    A turn may still be said then; return what was decided, and all texts.
    """
    await engine.open("golden", SPEC)
    told: list[tuple[Action, asyncio.Task[str] | None]] = []
    for index, frames in enumerate(published.conversation()):
        decision = (await engine.hear(Features("golden", index, {"frames": frames}))).decision
        assert decision.index == index
        said = [asyncio.create_task(text(engine, start.turn)) for start in decision.turns]
        told.append((decision.action, said[0] if said else None))
        if said and chance.random() < 0.5:
            await said[0]
    return [(action, await text if text else "") for action, text in told]


async def text(engine: Engine[Any], turn: int) -> str:
    pieces = [piece async for piece in engine.speak("golden", turn)]
    assert [piece.sequence for piece in pieces] == list(range(len(pieces)))
    assert pieces[-1].ended is EndReason.COMPLETE
    return "".join(piece.text for piece in pieces)


def expected() -> list[tuple[Action, str]]:
    silence = [ControlTokens().silence]
    return [
        (Action.SILENT, "") if turn == silence else (Action.RESPOND, text_tokens().decode(turn))
        for turn in golden.turns()
    ]


def answers(engine: Engine[Any]) -> list[list[int]]:
    """Return the tokens that the golden session's sequence holds, by chunk."""
    window = engine._sessions["golden"].state._window
    assert all(entry.blocks == 1 for entry in window.entries)
    return [list(entry.answer) for entry in window.entries]


async def disturb(engine: Engine[Any], name: str, seed: int) -> None:
    """Open and close sessions of one name, whose chunks come in bursts, also while they speak."""
    chance = random.Random(seed)
    while True:
        await engine.open(name, SessionSpec(name))
        waiting: list[asyncio.Future[Any]] = []
        for index in range(chance.randint(1, 90)):
            frames = published.conversation()[chance.randrange(58)] * np.float32(0.9)
            waiting.append(engine.hear(Features(name, index, {"frames": frames})))
            if chance.random() < 0.3:
                await waiting.pop()
        await engine.close(name)
        await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize("page_positions", [1, 16, 48])
async def test_every_published_token_alone(page_positions: int) -> None:
    async with asyncio.timeout(6 * DEADLINE_S), engine(make_decoder(1, page_positions)) as alone:
        assert await converse(alone, random.Random(page_positions)) == expected()
        assert answers(alone) == golden.turns()
    assert sum(map(len, golden.turns())) == 898


async def test_every_published_token_among_seven_others() -> None:
    chance = random.Random(SEED)
    decoder = make_decoder(9, page_positions=chance.choice([7, 16, 32]))
    async with asyncio.timeout(12 * DEADLINE_S), engine(decoder) as shared:
        others = [
            asyncio.create_task(disturb(shared, f"other {number}", SEED + number))
            for number in range(7)
        ]
        try:
            assert await converse(shared, chance) == expected()
            assert answers(shared) == golden.turns()
        finally:
            for other in others:
                other.cancel()
            ends = await asyncio.gather(*others, return_exceptions=True)
        assert {type(end) for end in ends} == {asyncio.CancelledError}
