"""What goes wrong with one session costs the others nothing."""

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from soundflow.features import Features
from soundflow.features import Tensor as Array
from soundflow.unified.pages import CacheFull, Lane
from tests.soundflow.unified.hashed_model import HashedModel
from tests.soundflow.unified.play import Played, chunk, play_of
from tests.soundflow.unified.told_model import RESPOND, Reply, Sounds, ToldModel


def without_errors(session: Played) -> list[object]:
    """Return what came of a session but for queues that failed: as if never heard."""
    failed = [error.__class__ for error in session.errors]
    return [t for t in session.told if not (isinstance(t, tuple) and t[1] in failed)]


def broken(features: Features, kind: str) -> Features:
    frames = features.tensors["frames"].copy()
    frames[3, 2] = {"nan": np.nan, "inf": np.inf, "huge": 3e38}.get(kind, 0)
    tensors: dict[str, Array] = {"frames": frames}
    if kind == "shape":
        tensors = {"frames": frames[:9]}
    if kind == "width":
        tensors = {"frames": frames[:, :3]}
    if kind == "type":
        tensors = {"frames": frames.astype(str)}
    if kind == "large":
        tensors = {"frames": frames.astype(np.float64) + 1e300}
    if kind == "name":
        tensors = {"level": frames}
    return replace(features, tensors=tensors)


@pytest.mark.parametrize("kind", ["nan", "inf", "huge", "shape", "width", "type", "large", "name"])
def test_features_that_are_none_fail_their_queue_alone(kind: str) -> None:
    play, calm = play_of(HashedModel()), play_of(HashedModel())
    for name in ("bad", "good"):
        play.open(name)
    calm.open("good")
    calm.open("bad")
    for index in range(12):
        for name, session in play.sessions.items():
            session.queue.append(chunk(name, index))
        if index == 5:
            play.sessions["bad"].queue[-1] = broken(chunk("bad", 5), kind)
        while any(session.busy for session in play.sessions.values()):
            play.step()
        calm.run("good", [chunk("good", index)])
        if index != 5:
            calm.run("bad", [chunk("bad", index)])
    assert play.sessions["good"].told == calm.sessions["good"].told
    assert len(play.sessions["bad"].errors) == 1
    told = [
        told
        for told in play.sessions["bad"].told
        if told != (5, type(play.sessions["bad"].errors[0]))
    ]
    assert told == calm.sessions["bad"].told, "what failed is as if it had never been heard"


def test_bad_features_that_are_overheard_do_not_end_a_turn() -> None:
    play = play_of(ToldModel(Reply(tokens=20)))
    session, sounds = play.open("a"), Sounds("a")
    session.queue += sounds.chunks(RESPOND)
    while session.state.lane.length < 40:
        play.step()
    session.queue.append(broken(sounds.chunk(RESPOND), "nan"))
    while session.speaks:
        play.step()
    assert not session.errors
    play.run("a")
    assert [type(error) for error in session.errors] == [ValueError]


class Failing(HashedModel):
    """Fails whenever it is fed a certain number; `how` says in which way."""

    POISON = 77.0

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def extend(self, batch: Sequence[tuple[Lane, Tensor]]) -> Tensor:
        poisoned = [bool((rows == self.POISON).any()) for _, rows in batch]
        if self.how == "raises" and any(poisoned):
            raise RuntimeError("poisoned")
        if self.how == "full" and any(poisoned):
            raise CacheFull("poisoned")
        logits = super().extend(batch)
        logits[torch.tensor(poisoned)] = float("nan" if self.how == "nan" else "inf")
        return logits


@pytest.mark.parametrize("how", ["raises", "full", "nan", "inf"])
def test_a_model_that_fails_on_one_session_fails_it_alone(how: str) -> None:
    play, calm = play_of(Failing(how)), play_of(HashedModel())
    for name in ("bad", "good"):
        play.open(name)
        calm.open(name)
    for index in range(10):
        for name, session in play.sessions.items():
            session.queue.append(chunk(name, index))
        if index == 4:
            play.sessions["bad"].queue[-1].tensors["frames"][9, 3] = Failing.POISON
        while any(session.busy for session in play.sessions.values()):
            play.step()
        calm.run("good", [chunk("good", index)])
        if index != 4:
            calm.run("bad", [chunk("bad", index)])
    good, bad = play.sessions["good"], play.sessions["bad"]
    assert good.told == calm.sessions["good"].told
    assert len(bad.errors) == 1
    assert [told for told in bad.told if told != (4, type(bad.errors[0]))] == calm.sessions[
        "bad"
    ].told


def test_any_token_at_any_place_is_borne() -> None:
    for seed in range(20):
        lm = HashedModel(odd=70)
        play = play_of(lm)
        chance = random.Random(seed)
        for name in "ab":
            play.open(name)
        for index in range(40):
            for name in "ab":
                play.run(name, [chunk(f"{name}{seed}", index)])
            if chance.random() < 0.2:
                play.decoder.cancel(play.sessions["a"].state, chance.randint(1, 9))
        assert not any(session.errors for session in play.sessions.values())
        assert play.decoder.counts["unexpected_token"] > 10
