"""The published model's own tokens, one session alone and among others; see tests/golden/README."""

import random
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from soundflow.unified.pages import Lane, PagedCache
from soundflow.unified.transformer import LanguageModel
from tests import golden
from tests.golden import published, published_decoder

AUDIO_BEGIN, PAD, ASSISTANT = 151647, 151608, 151602
LOGITS_WITHIN = 1e-3


@cache
def language_model() -> LanguageModel:
    return published_decoder.language_model()


@cache
def model_of_used_ids() -> LanguageModel:
    """Return one whose steps are quick: it computes no logits that are always 0."""
    return published_decoder.with_used_ids_only()


@cache
def feeds() -> list[Tensor]:
    """Return what each step feeds; it follows the golden tokens, whatever came out."""
    lm = language_model()
    before, made = golden.prefix_ids(), []
    for features, turn in zip(published.conversation(), golden.turns(), strict=True):
        embedded = lm.embed([*before, AUDIO_BEGIN, *[PAD] * 10, ASSISTANT])
        embedded[-11:-1] = torch.from_numpy(features)
        made += [embedded, *(lm.embed([token]) for token in turn[:-1])]
        before = turn[-1:]
    return made


class Conversation:
    """The golden session: what it feeds at each step, and what it must then get."""

    def __init__(self) -> None:
        self.used = torch.from_numpy(golden.used_ids())
        self.tokens = [token for turn in golden.turns() for token in turn]
        self.expected = torch.from_numpy(np.concatenate(golden.step_logits()))
        self.step = 0
        self.furthest = 0.0

    @property
    def over(self) -> bool:
        return self.step == len(self.tokens)

    def next(self) -> Tensor:
        return feeds()[self.step]

    def check(self, token: int, logits: Tensor) -> None:
        apart = (logits - self.expected[self.step]).abs().max().item()
        self.furthest = max(self.furthest, apart)
        assert token == self.tokens[self.step], f"at step {self.step}"
        self.step += 1

    def check_used(self, logits: Tensor) -> None:
        assert logits.max() > 0, "one of the zero rows would win"
        self.check(int(self.used[logits.argmax()]), logits)


def test_all_tokens_and_logits_are_the_published_ones() -> None:
    lm, conversation = language_model(), Conversation()
    lane = PagedCache(lm.config, pages=4096 // 16).lane()
    while not conversation.over:
        logits = lm.extend([(lane, conversation.next())])[0]
        conversation.check(int(logits.argmax()), logits[conversation.used])
    assert conversation.furthest <= LOGITS_WITHIN
    assert conversation.step == 898


@pytest.mark.parametrize("page_positions", [1, 7, 16, 64])
def test_they_are_in_pages_of_any_size(page_positions: int) -> None:
    lm, conversation = model_of_used_ids(), Conversation()
    cache = PagedCache(lm.config, pages=4096 // page_positions, page_positions=page_positions)
    lane = cache.lane()
    while not conversation.over:
        conversation.check_used(lm.extend([(lane, conversation.next())])[0])
    assert conversation.furthest <= LOGITS_WITHIN


@pytest.mark.parametrize("page_positions", [1, 7, 16, 64])
def test_seven_others_that_come_and_go_change_nothing(page_positions: int) -> None:
    lm, conversation, chance = model_of_used_ids(), Conversation(), random.Random(page_positions)
    cache = PagedCache(lm.config, pages=6400 // page_positions, page_positions=page_positions)
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
            conversation.check_used(logits[[one for one, _ in batch].index(lane)])
        _cut_some(others, chance)
    assert conversation.furthest <= LOGITS_WITHIN


def _noise(chance: random.Random) -> Tensor:
    return torch.randn(chance.choice([1, 1, 1, 13, 13, 26, 40]), language_model().config.width)


def _cut_some(lanes: list[Lane], chance: random.Random) -> None:
    for lane in lanes:
        if lane.length > 300 or chance.random() < 0.1:
            lane.truncate(chance.randint(0, lane.length))
