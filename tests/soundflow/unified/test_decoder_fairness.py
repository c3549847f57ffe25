"""No session costs another time: a step takes a bounded part of everybody's work."""

import random
from dataclasses import replace

import pytest

from soundflow.features import Features
from soundflow.interaction import SessionSpec
from soundflow.unified.settings import SHORT_POSITIONS, UnifiedSettings
from tests.soundflow.unified.play import SMALL, Play, play_of
from tests.soundflow.unified.told_model import RESPOND, SILENT, Reply, Sounds, ToldModel


def steps_to_decide(play: Play, name: str, features: Features) -> int:
    """Return after how many steps of all sessions one chunk is decided on."""
    session = play.sessions[name]
    decided, session.queue = len(session.verdicts), [features]
    for step in range(1, 100):
        play.step()
        if len(session.verdicts) > decided:
            return step
    raise AssertionError("never decided")


@pytest.mark.parametrize("code", [SILENT, RESPOND])
@pytest.mark.parametrize("busy", ["drain", "refresh", "reply"])
def test_whatever_others_do_a_chunk_is_decided_as_soon_as_alone(busy: str, code: float) -> None:
    lm = ToldModel(Reply(tokens=10_000))
    settings = UnifiedSettings(long_positions=64, positions=4096, reply_tokens=1000)
    play = play_of(lm, settings)
    quick, long = Sounds("quick"), Sounds("long")
    for name in ("quick", "long"):
        play.open(name)
    play.run("quick", quick.chunks(SILENT))
    other = play.sessions["long"]
    if busy == "drain":
        other.queue = long.chunks(*[SILENT] * 64)
    if busy == "refresh":
        for _ in range(59):
            play.run("long", long.chunks(SILENT))
        other.queue = long.chunks(SILENT)
        while not other.speaks:
            play.step(["long"])
    if busy == "reply":
        other.queue = long.chunks(RESPOND)
        while not other.speaks:
            play.step(["long"])
    lm.batches.clear()
    assert steps_to_decide(play, "quick", quick.chunk(code)) == (1 if code == SILENT else 2)
    assert other.busy, "it had less to do than this test is about"
    assert all(len(counts) == 2 for counts in lm.batches), "the other stood still meanwhile"


def test_the_positions_of_a_step_are_bounded_and_everybody_goes_on() -> None:
    lm = ToldModel(Reply(tokens=20))
    play = play_of(lm, replace(SMALL, long_positions=100, system_tokens=150, positions=450))
    sounds = {name: Sounds(name) for name in "abcdefgh"}
    chance = random.Random(3)
    for name in sounds:
        play.open(name, SessionSpec(name * 150)).queue += sounds[name].chunks(SILENT)
    for _ in range(300):
        for name, session in play.sessions.items():
            if chance.random() < 0.1:
                codes = chance.choices([SILENT, RESPOND], k=chance.choice([1, 1, 9]))
                session.queue += sounds[name].chunks(*codes)
        play.step()
    most = max(sum(counts) for counts in lm.batches)
    assert most <= len(sounds) * SHORT_POSITIONS + 100
    assert all(len(session.verdicts) > 10 for session in play.sessions.values())
