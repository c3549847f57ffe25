"""The published model's own tokens, one session alone and among others; see tests/golden/README."""

import random
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from soundflow.unified.pages import Lane, PagedCache
from soundflow.unified.transformer import LanguageModel
from tests import golden
from tests.golden import published, published_decoder

AUDIO_BEGIN, PAD, ASSISTANT, TEXT_END, KEEP_SILENCE = 151647, 151608, 151602, 151643, 151605
LOGITS_WITHIN = 1e-3


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def language_model() -> LanguageModel:
    return published_decoder.language_model()


class Conversation:
    """The golden session: what it feeds at each step, and what it must then get."""

    def __init__(self) -> None:
        self._used = torch.from_numpy(golden.used_ids())
        self.tokens = [token for turn in golden.turns() for token in turn]
        self.expected = torch.from_numpy(np.concatenate(golden.step_logits()))
        self.feeds = list(_feeds())
        self.step = 0
        self.furthest = 0.0

    @property
    def over(self) -> bool:
        return self.step == len(self.tokens)

    def next(self) -> Tensor:
        return self.feeds[self.step]

    def check(self, logits: Tensor) -> None:
        apart = (logits[self._used] - self.expected[self.step]).abs().max().item()
        self.furthest = max(self.furthest, apart)
        assert int(logits.argmax()) == self.tokens[self.step], f"at step {self.step}"
        self.step += 1


def _feeds() -> Iterator[Tensor]:
    """Yield what each step feeds; it follows the golden tokens, whatever came out."""
    lm = language_model()
    before = golden.prefix_ids()
    for features, turn in zip(published.conversation(), golden.turns(), strict=True):
        ids = [*before, AUDIO_BEGIN, *[PAD] * 10, ASSISTANT]
        embedded = lm.embed(ids)
        embedded[-11:-1] = torch.from_numpy(features)
        yield embedded
        for token in turn[:-1]:
            yield lm.embed([token])
        before = turn[-1:]


@pytest.mark.parametrize("page_positions", [1, 7, 16, 64])
def test_all_tokens_and_logits_are_the_published_ones(page_positions: int) -> None:
    lm, conversation = language_model(), Conversation()
    cache = PagedCache(lm.config, pages=4096 // page_positions, page_positions=page_positions)
    lane = cache.lane()
    while not conversation.over:
        conversation.check(lm.extend([(lane, conversation.next())])[0])
    assert conversation.furthest <= LOGITS_WITHIN
    assert len(conversation.tokens) == 898


def test_seven_others_that_come_and_go_change_nothing() -> None:
    lm, conversation, chance = language_model(), Conversation(), random.Random(6)
    cache = PagedCache(lm.config, pages=400, page_positions=16)
    lane, others = cache.lane(), [cache.lane() for _ in range(7)]
    while not conversation.over:
        batch = [(other, _noise(chance)) for other in others if chance.random() < 0.4]
        ours = chance.random() < 0.8
        if ours:
            batch.insert(chance.randrange(len(batch) + 1), (lane, conversation.next()))
        if not batch:
            continue
        logits = lm.extend(batch)
        if ours:
            conversation.check(logits[[one for one, _ in batch].index(lane)])
        _cut_some(others, chance)
    assert conversation.furthest <= LOGITS_WITHIN


def _noise(chance: random.Random) -> Tensor:
    return torch.randn(chance.choice([1, 1, 1, 13, 13, 26, 40]), language_model().config.width)


def _cut_some(lanes: list[Lane], chance: random.Random) -> None:
    for lane in lanes:
        if lane.length > 300 or chance.random() < 0.1:
            lane.truncate(chance.randint(0, lane.length))
