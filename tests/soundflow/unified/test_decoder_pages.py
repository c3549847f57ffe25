"""Pages are accounted for exactly, and nothing in them ever reaches another session."""

import random
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from soundflow.decoder import DecoderFull
from soundflow.interaction import SessionSpec
from soundflow.unified.kv_pool import PlainPool
from soundflow.unified.session import Phase
from tests.golden import published_decoder
from tests.soundflow.unified.hashed_model import HashedModel, text_tokens
from tests.soundflow.unified.play import SMALL, Play, chunk, make_decoder, play_of
from tests.soundflow.unified.told_model import RESPOND, SILENT, Reply, Sounds, ToldModel


def test_pages_are_held_by_open_sessions_alone_whatever_happens_to_them() -> None:
    chance = random.Random(11)
    lm = HashedModel()
    settings = replace(SMALL, positions=400, peek_chunks=4, long_positions=26)
    decoder, cache = make_decoder(lm.cast(), settings, sessions=5, page_positions=7)
    play, opened, refused, phases = Play(decoder), 0, 0, set()
    indices: dict[str, int] = {}
    for _ in range(4000):
        match chance.choices(
            ["open", "close", "cancel", "instruct", "hear", "step"], [2, 2, 2, 2, 10, 20]
        )[0]:
            case "open":
                opened += 1
                try:
                    play.open(f"s{opened}")
                except DecoderFull:
                    refused += 1
            case "step":
                play.step([name for name in play.sessions if chance.random() < 0.7])
            case does if play.sessions:
                name = chance.choice(sorted(play.sessions))
                session = play.sessions[name]
                phases.add((does, session.state._phase))
                if does == "close":
                    play.close(name)
                elif does == "cancel":
                    decoder.cancel(session.state, session.state._newest_turn)
                elif does == "instruct":
                    decoder.instruct(session.state, "hello world" * chance.randint(1, 9))
                else:
                    for _ in range(chance.choice([1, 1, 1, 10])):
                        indices[name] = indices.get(name, -1) + 1
                        session.queue.append(chunk(name, indices[name]))
        held = sum(len(session.state.lane.pages) for session in play.sessions.values())
        assert cache.free_pages == cache.pages - held
        assert all(
            session.state.lane.length <= settings.positions for session in play.sessions.values()
        )
    assert refused > 10
    for does in ("close", "cancel", "instruct"):
        assert {phase for done, phase in phases if done == does} == set(Phase), f"never {does}"
    for name in list(play.sessions):
        play.close(name)
    assert cache.free_pages == cache.pages
    for number in range(5):
        play.open(f"again {number}")


def test_a_full_decoder_never_runs_out_of_pages() -> None:
    lm = ToldModel(Reply(tokens=10_000))
    play = play_of(lm, sessions=6)
    sounds = {name: Sounds(name) for name in "abcdef"}
    for name in sounds:
        play.open(name)
    for _ in range(30):
        for name, session in play.sessions.items():
            session.queue += sounds[name].chunks(SILENT, RESPOND, RESPOND, RESPOND)
        while any(session.busy for session in play.sessions.values()):
            play.step()
    assert not any(session.errors for session in play.sessions.values())


def test_no_lane_ever_holds_a_number_of_another_session() -> None:
    lm = HashedModel()
    play = play_of(lm)
    marks = {name: 500.0 + place for place, name in enumerate("abcdef")}
    chance = random.Random(5)
    for name in marks:
        play.open(name, SessionSpec(name * 20))
    for index in range(40):
        for name, session in play.sessions.items():
            features = chunk(name, index)
            features.tensors["frames"][:, 2] = marks[name]
            session.queue.append(features)
        for _ in range(chance.randint(1, 8)):
            play.step([name for name in marks if chance.random() < 0.7])
    assert all(session.verdicts for session in play.sessions.values())
    for name, session in play.sessions.items():
        _, rows = lm.fed[id(session.state.lane)]
        found = {float(mark) for row in rows for mark in np.frombuffer(row, "f4")[2:3] if mark}
        assert found == {marks[name]}
        system = {np.frombuffer(row, "f4")[0] for row in rows[4:24]}
        assert system == set(text_tokens().encode(name)), "its system prompt is one letter"


def test_pages_that_others_left_behind_say_nothing() -> None:
    """With a real model: numbers of a closed session, even ones not finite, change nothing."""
    lm = published_decoder.language_model()

    def heard(poison: float) -> tuple[list[object], Tensor]:
        decoder, cache = make_decoder(lm, replace(SMALL, positions=400), sessions=2)
        pool = cache.pool
        assert isinstance(pool, PlainPool)
        pool.key_LSKE[:, : cache.empty_slot] = poison
        pool.value_LSKE[:, : cache.empty_slot] = poison
        play = Play(decoder)
        session = play.open("a")
        for index in range(6):
            play.run("a", [chunk("a", index, lm.config.width)])
        pages = torch.from_numpy(session.state.lane.pages)
        slots = (pages[:, None] * cache.page_positions + torch.arange(cache.page_positions)).view(
            -1
        )
        return session.told, pool.value_LSKE[:, slots[: session.state.lane.length]]

    told, values = heard(0.0)
    for poison in (1e30, float("inf"), float("nan")):
        other_told, other_values = heard(poison)
        assert other_told == told
        assert torch.equal(other_values, values)
