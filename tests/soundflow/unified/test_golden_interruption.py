"""Interruption with the golden weights, checked by one forward over the whole sequence."""

import random
from dataclasses import replace

import pytest
import torch

from soundflow.features import Features
from soundflow.interaction import Action, EndReason, Piece, SessionSpec
from soundflow.unified.decoder import UnifiedDecoder
from soundflow.unified.pages import PagedCache
from soundflow.unified.tokens import ControlTokens
from soundflow.unified.window import Entry
from tests import golden
from tests.golden import published
from tests.soundflow.unified.play import Play, Played
from tests.soundflow.unified.test_golden_sessions import SETTINGS, language_model, text_tokens

CONTROL = ControlTokens()


def converse(seed: int) -> tuple[Played, UnifiedDecoder]:
    """Let a session hear the golden chunks; each may come while the one before is answered."""
    chance, lm = random.Random(seed), language_model()
    settings = replace(SETTINGS, peek_chunks=1, peek_from_tokens=1)
    cache = PagedCache(lm.config, settings.positions // 16, 16)
    decoder = UnifiedDecoder(lm, cache, CONTROL, text_tokens(), settings)
    play = Play(decoder)
    session = play.open("golden", SessionSpec())
    for index, frames in enumerate(published.conversation()):
        session.queue.append(Features("golden", index, {"frames": frames}))
        while session.undecided or session.queue:
            play.step()
        for _ in range(chance.choice([0, 2, 200])):
            if session.speaks:
                play.step()
    play.run("golden")
    return session, decoder


@torch.no_grad()
def most_likely(entries: list[Entry]) -> list[list[int]]:
    """Return what is most likely in place of each answer's tokens, in the published order."""
    lm = language_model()
    ids, frames, answered = golden.prefix_ids(), [], []
    for entry in entries:
        frames += [(len(ids) + 1, entry.frames[0])]
        ids += [CONTROL.audio_begin, *[CONTROL.pad] * 10, CONTROL.assistant]
        answered.append(slice(len(ids) - 1, len(ids) - 1 + len(entry.answer)))
        ids += entry.answer
    embedded = lm.embed(ids)
    for place, features in frames:
        embedded[place : place + 10] = torch.from_numpy(features)
    likely = lm(embedded[None])[0].argmax(-1).tolist()
    return [likely[part] for part in answered]


@pytest.mark.parametrize("seed", [1, 2])
def test_who_would_be_answered_ends_a_turn_and_nobody_else_changes_one(seed: int) -> None:
    session, decoder = converse(seed)
    entries = session.state._window.entries
    ends = iter([told.ended for told in session.told if isinstance(told, Piece) and told.ended])
    likely, interrupted = most_likely(entries), 0
    for place, entry in enumerate(entries):
        answer = list(entry.answer)
        if session.verdicts[place].action is Action.SILENT or next(ends) is EndReason.COMPLETE:
            assert answer == likely[place]
            continue
        interrupted += 1
        assert answer[:-1] == likely[place][:-1]
        assert answer[-1] == CONTROL.text_end
        assert likely[place + 1][0] == CONTROL.text_begin, "who came would not be answered"
    assert interrupted == decoder.counts["interruption"] > 0
