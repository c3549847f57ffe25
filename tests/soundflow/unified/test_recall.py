"""A session that is rebuilt after any decision, from its memory, goes on as if nothing was."""

import random
from dataclasses import replace

import pytest

from soundflow.features import Features
from soundflow.interaction import Ability, Action, EndReason, Kind, PastTurn, Piece, SessionSpec
from soundflow.unified.memory import packed, unpacked
from soundflow.unified.sampling import Sampling
from soundflow.unified.settings import UnifiedSettings
from tests.soundflow.following import engine
from tests.soundflow.test_rebuild import assert_rebuilt_anywhere
from tests.soundflow.unified.hashed_model import HashedModel, text_tokens
from tests.soundflow.unified.play import SMALL, Play, Played, chunk, go_on, hear, make_decoder
from tests.soundflow.unified.told_model import RESPOND, SILENT, Reply, Sounds
from tests.soundflow.unified.told_stage import BLOCK, CHAT, CONTROL, Stage, pieces, talk_over

SPEC = SessionSpec("what is to be done")


def lived(seed: int, lm: HashedModel, settings: UnifiedSettings) -> Played:
    """Return a session after a random life, shared with another."""
    chance = random.Random(seed)
    play, indices = Play(make_decoder(lm.cast(), settings)[0]), {"a": 0, "b": 0}
    for name in indices:
        play.open(name, SPEC)
    for _ in range(250):
        for name, session in play.sessions.items():
            if chance.random() < 0.3:
                for _ in range(chance.choice([1, 1, 1, 1, 2, 3, 11])):
                    session.queue.append(chunk(f"{name}{seed}", indices[name]))
                    indices[name] += 1
        if chance.random() < 0.05 and not play.sessions["a"].undecided:
            play.instruct("a", chance.choice(["hello", "the world", "x" * 99]))
        if chance.random() < 0.1:
            play.cancel("a", play.sessions["a"].state._newest_turn)
        play.step()
    while any(session.busy for session in play.sessions.values()):
        play.step()
    assert not play.sessions["a"].errors
    return play.sessions["a"]


def history_before(session: Played, told: int) -> list[PastTurn]:
    """Return the turns that had ended when so much was told, as callers know them."""
    texts: dict[int, str] = {}
    ended: list[int] = []
    chunks: dict[int, int] = {}
    for item in session.told[:told]:
        if isinstance(item, Piece):
            texts[item.turn] = texts.get(item.turn, "") + item.text
            ended += [item.turn] if item.ended else []
        elif isinstance(item, tuple):
            chunks |= {start.turn: item[0] for start in item[2]}
    return [PastTurn(turn, Kind.ANSWER, texts[turn], chunks[turn]) for turn in ended]


def heard_by(session: Played, calls: int) -> dict[int, Features]:
    """Return the chunks of its first calls."""
    hearings = [what for call, what in session.calls[:calls] if call == "hear"]
    return {each.index: each for queue in hearings for each in queue}


def rebuilt(session: Played, decision: int, lm: HashedModel, settings: UnifiedSettings) -> Played:
    """Return another engine's session after a decision of this one, given the same from there on.

    It is told what the other was told from that decision on.
    """
    verdict = session.verdicts[decision]
    calls, told = session.decided[decision]
    newest = max(heard_by(session, calls))
    decoder, _ = make_decoder(lm.cast(), settings, sessions=1)
    typed = [what for call, what in session.calls[:calls] if call == "instruct"]
    spec = replace(SPEC, instruction=[SPEC.instruction, *typed][-1])  # as its record has it then
    state = decoder.open(spec, history_before(session, told), verdict.memory)
    again, chunks = Played("again", state), heard_by(session, calls)
    assert verdict.window_start is not None
    for index in range(verdict.window_start, newest + 1):
        hear(decoder, again, [chunks[index]])
        assert again.verdicts.pop().action is (verdict.action if index == newest else Action.SILENT)
        del again.told[:]
    go_on(decoder, again, session.calls[calls:])
    return again


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_it_goes_on_after_every_decision(seed: int, temperature: float) -> None:
    settings = replace(SMALL, sampling=Sampling(temperature, top_k=5, seed=seed))
    responds = [10, 35, 70, 35][seed]
    session = lived(seed, HashedModel(responds=responds), settings)
    assert len(session.verdicts) > 20
    for decision in range(len(session.verdicts)):
        again = rebuilt(session, decision, HashedModel(responds=responds), settings)
        _, told = session.decided[decision]
        assert again.told == session.told[told + 1 :], f"after decision {decision}"
        assert again.verdicts == session.verdicts[decision + 1 :]


async def test_the_engine_rebuilds_it_anywhere() -> None:
    spec = SessionSpec(abilities=frozenset({Ability.TRANSCRIBE}))  # else it matters what waits
    stream = [chunk("call", index) for index in range(40)]
    first, second = (make_decoder(HashedModel().cast(), sessions=41)[0] for _ in range(2))
    async with engine(first) as one, engine(second) as other:
        caller = await assert_rebuilt_anywhere(one, other, spec, stream, range(40))
    assert len(caller.turns) > 5


def test_a_turn_that_was_interrupted_is_not_said_to_its_end_again() -> None:
    """Where its end was not known yet when the memory was written."""
    stage, again = Stage(Reply(tokens=20)), Stage(Reply(tokens=20))
    session = stage.open()
    talk_over(stage, session, RESPOND)
    stage.play.run("a")
    first, second = session.verdicts[:2]
    told = [piece for piece in pieces(session) if piece.turn == 1]
    assert told[-1].ended is EndReason.INTERRUPTED
    text = "".join(piece.text for piece in told)

    past = [PastTurn(1, Kind.ANSWER, text, chunk=0)]
    rebuilt = again.play.open("a", CHAT, past, first.memory)
    chunks = Sounds("a").chunks(RESPOND, RESPOND)
    again.play.run("a", chunks[:1])
    again.play.run("a", chunks[1:])
    assert again.held(rebuilt) == stage.held(session)
    said = [piece for piece in pieces(rebuilt) if piece.turn == 2]
    assert "".join(piece.text for piece in said) == text
    assert [v.memory for v in rebuilt.verdicts] == [first.memory, second.memory]


def test_a_memory_that_cannot_be_read_leaves_the_history(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    past = [PastTurn(1, Kind.ANSWER, "hello", chunk=3), PastTurn(2, Kind.ANSWER, "world", chunk=8)]
    session = stage.play.open("a", CHAT, past, '{"version": 0}')
    assert "not readable" in caplog.text
    stage.play.run("a", Sounds("a", next_index=9).chunks(RESPOND))
    turns = [
        [CONTROL.assistant, CONTROL.text_begin, *text_tokens().encode(text), CONTROL.text_end]
        for text in ("hello", "world")
    ]
    assert stage.held(session)[:-6] == [*turns[0], *turns[1], *BLOCK]
    assert session.verdicts[0].turns[0].turn == 3


def test_what_was_not_heard_again_is_done_without() -> None:
    stage, again = Stage(), Stage()
    stage.open()
    for code in (SILENT, RESPOND, SILENT, SILENT):
        stage.hear(code)
    memory = stage.play.sessions["a"].verdicts[-1].memory
    rebuilt = again.play.open("a", CHAT, [], memory)
    sounds = Sounds("a", next_index=2)
    for _ in range(3):
        again.play.run("a", sounds.chunks(SILENT))
    assert again.held(rebuilt) == [*BLOCK, CONTROL.silence, *BLOCK, CONTROL.silence, *BLOCK]


def test_tokens_are_packed_and_unpacked() -> None:
    for ids in ((), (0,), (151_645, 7, 2**24 - 1)):
        assert unpacked(packed(ids)) == ids
