"""Whoever shares a batch, however chunks arrive: a session says what it would say alone."""

import random
from dataclasses import replace

import pytest

from soundflow.interaction import Action, EndReason, Piece, SessionSpec
from soundflow.unified.sampling import Sampling
from tests.soundflow.unified.hashed_model import HashedModel
from tests.soundflow.unified.play import SMALL, Play, Played, chunk, make_decoder, replayed_alone

CASES = 300


class Chances:
    """One random case: how many sessions, how chunks arrive, and who is stepped."""

    def __init__(self, seed: int) -> None:
        chance = self.chance = random.Random(seed)
        self.names = [f"s{number}" for number in range(chance.randint(1, 5))]
        self.arrival = chance.choice([0.1, 0.4, 0.9])
        self.burst = chance.choice([1, 1, 3, 12])
        self.stepped = chance.choice([0.3, 0.8, 1.0])
        self.settings = replace(
            SMALL,
            long_positions=chance.choice([26, 64, 200]),
            peek_chunks=chance.choice([0, 1, 2]),
            sampling=Sampling(chance.choice([0.0, 0.7]), top_k=3, seed=seed),
        )
        self.page_positions = chance.choice([1, 3, 16, 50])

    def run(self) -> dict[str, Played]:
        lm = HashedModel(responds=self.chance.choice([5, 35, 70]))
        decoder, _ = make_decoder(
            lm.cast(), self.settings, sessions=6, page_positions=self.page_positions
        )
        play, indices = Play(decoder), dict.fromkeys(self.names, 0)
        for name in self.names:
            play.open(name)
        for _ in range(40):
            for name, session in play.sessions.items():
                if self.chance.random() < self.arrival / self.burst:
                    count = self.chance.randint(1, self.burst)
                    session.queue += [chunk(name, indices[name] + i) for i in range(count)]
                    indices[name] += count
            play.step([name for name in self.names if self.chance.random() < self.stepped])
        while any(session.busy for session in play.sessions.values()):
            play.step()
        self.lm = lm
        return play.sessions


@pytest.mark.parametrize("block", range(10))
def test_a_session_says_what_it_says_alone_with_the_same_drains(block: int) -> None:
    responded = interrupted = 0
    for seed in range(block * CASES // 10, (block + 1) * CASES // 10):
        case = Chances(seed)
        for name, session in case.run().items():
            lm = HashedModel(responds=case.lm.responds)
            decoder, _ = make_decoder(lm.cast(), case.settings, sessions=1, page_positions=16)
            alone = replayed_alone(decoder, session, SessionSpec(f"this is {name}"))
            assert not session.errors
            assert alone.told == session.told, f"case {seed}, session {name}"
            assert alone.verdicts == session.verdicts
            responded += any(verdict.action is Action.RESPOND for verdict in session.verdicts)
            interrupted += any(
                isinstance(told, Piece) and told.ended is EndReason.INTERRUPTED
                for told in session.told
            )
    assert responded > CASES // 40
    assert interrupted > 0
