"""The unified decoder's rules, around a model that does what the features tell it."""

import pytest

from soundflow.decoder import DecoderFull
from soundflow.interaction import (
    Ability,
    Action,
    EndReason,
    Kind,
    PastTurn,
    SessionSpec,
    TurnStart,
)
from soundflow.unified.decoder import UnifiedDecoder
from soundflow.unified.pages import PagedCache
from tests.soundflow.unified.hashed_model import text_tokens
from tests.soundflow.unified.play import SMALL
from tests.soundflow.unified.told_model import (
    LETTER,
    ODD,
    RESPOND,
    SILENT,
    Reply,
    Sounds,
    ToldModel,
)
from tests.soundflow.unified.told_stage import BLOCK, CHAT, CONTROL, LETTERS, Stage, pieces, said

# What is fed


def test_prefix_blocks_and_answers_are_fed_in_the_published_order() -> None:
    stage = Stage()
    session = stage.open()
    stage.hear(SILENT)
    prefix = CONTROL.prefix_ids(text_tokens().encode("talk"))
    assert stage.lm.tokens_of(session.state.lane) == [*prefix, *BLOCK]
    stage.hear(RESPOND)
    stage.hear(SILENT)
    turn = [CONTROL.text_begin, *LETTERS, CONTROL.text_end]
    assert stage.held(session) == [*BLOCK, CONTROL.silence, *BLOCK, *turn, *BLOCK]


def test_a_drained_queue_gets_one_control_token_after_its_last_block() -> None:
    stage = Stage()
    session = stage.open()
    stage.hear(RESPOND, RESPOND, SILENT)
    stage.hear(SILENT)
    assert stage.held(session) == [*BLOCK, *BLOCK, *BLOCK, CONTROL.silence, *BLOCK]
    assert [verdict.action for verdict in session.verdicts] == [Action.SILENT] * 2


def test_an_unexpected_control_token_is_silence_and_is_counted() -> None:
    stage = Stage()
    session = stage.open()
    stage.hear(ODD)
    stage.hear(SILENT)
    assert stage.held(session) == [*BLOCK, CONTROL.silence, *BLOCK]
    assert [verdict.action for verdict in session.verdicts] == [Action.SILENT] * 2
    assert stage.decoder.counts["unexpected_token"] == 1


# What is said


def test_text_comes_at_once_then_a_few_tokens_at_a_time_and_is_final() -> None:
    stage = Stage(Reply(tokens=9))
    session = stage.open()
    stage.hear(RESPOND)
    told = pieces(session)
    assert said(session) == text_tokens().decode(range(LETTER, LETTER + 9))
    assert [piece.sequence for piece in told] == list(range(len(told)))
    assert all(piece.final for piece in told)
    assert [len(piece.text) for piece in told] == [2, 3, 3, 1, 0]
    assert [piece.ended for piece in told] == [*[None] * 4, EndReason.COMPLETE]


def test_an_emotion_is_told_with_the_decision_and_is_no_text() -> None:
    stage = Stage(Reply(tokens=3, emotion="urgent"))
    session = stage.open()
    stage.hear(RESPOND)
    assert session.verdicts[-1].turns == (TurnStart(1, Kind.ANSWER, "urgent"),)
    assert said(session) == text_tokens().decode(LETTERS[:3])
    stage.hear(SILENT)
    turn = [CONTROL.text_begin, CONTROL.urgent, *LETTERS[:3], CONTROL.text_end]
    assert stage.held(session) == [*BLOCK, *turn, *BLOCK]
    assert stage.decoder.counts["unexpected_token"] == 0


def test_a_turn_without_text_ends_as_it_begins() -> None:
    stage = Stage(Reply(tokens=0))
    session = stage.open()
    stage.hear(RESPOND)
    assert [piece.ended for piece in pieces(session)] == [EndReason.COMPLETE]


def test_a_reply_without_end_is_ended_and_the_session_listens_again() -> None:
    stage = Stage(Reply(tokens=10_000), reply_tokens=7)
    session = stage.open()
    stage.hear(RESPOND)
    assert said(session) == text_tokens().decode(range(LETTER, LETTER + 7))
    assert pieces(session)[-1].ended is EndReason.COMPLETE
    stage.hear(SILENT)
    turn = [CONTROL.text_begin, *range(LETTER, LETTER + 7), CONTROL.text_end]
    assert stage.held(session) == [*BLOCK, *turn, *BLOCK]


@pytest.mark.parametrize(
    ("abilities", "kind"),
    [
        ({Ability.TRANSCRIBE}, Kind.TRANSCRIPT),
        ({Ability.TRANSLATE}, Kind.TRANSLATION),
        ({Ability.PROACTIVE}, Kind.ADVICE),
        ({Ability.PROACTIVE, Ability.CHAT}, Kind.ANSWER),
        ({Ability.COUNT, Ability.DESCRIBE}, Kind.NOTICE),
        (set(), Kind.ANSWER),
    ],
)
def test_a_turn_is_of_the_kind_that_the_abilities_make(abilities: set[Ability], kind: Kind) -> None:
    stage = Stage()
    session = stage.open(spec=SessionSpec(abilities=frozenset(abilities)))
    stage.hear(RESPOND)
    assert session.verdicts[-1].turns == (TurnStart(1, kind),)


def test_turns_are_numbered_after_the_history() -> None:
    stage = Stage()
    session = stage.play.open("a", CHAT, [PastTurn(7, Kind.ANSWER, "before")])
    stage.sounds["a"] = Sounds("a")
    stage.hear(RESPOND)
    stage.hear(RESPOND)
    assert [start.turn for v in session.verdicts for start in v.turns] == [8, 9]


# Instructions


def test_a_typed_instruction_stands_in_the_system_prompt_from_the_next_chunk_on() -> None:
    stage = Stage()
    session = stage.open()
    stage.hear(SILENT)
    stage.decoder.instruct(session.state, "hello")
    stage.hear(RESPOND)
    stage.decoder.instruct(session.state, "world")
    stage.hear(SILENT)
    prefix = CONTROL.prefix_ids(text_tokens().encode("talk\nhello\nworld"))
    assert stage.lm.tokens_of(session.state.lane)[: len(prefix)] == list(prefix)
    turn = [CONTROL.text_begin, *LETTERS, CONTROL.text_end]
    assert stage.held(session) == [*BLOCK, CONTROL.silence, *BLOCK, *turn, *BLOCK]


def test_an_instruction_while_the_session_speaks_waits_for_the_next_chunk() -> None:
    stage = Stage(Reply(tokens=8))
    session = stage.open()
    session.queue += stage.sounds["a"].chunks(RESPOND)
    while not pieces(session):
        stage.play.step()
    stage.decoder.instruct(session.state, "hello")
    stage.play.run("a")
    assert said(session) == text_tokens().decode(range(LETTER, LETTER + 8))
    stage.hear(SILENT)
    turn = [CONTROL.text_begin, *range(LETTER, LETTER + 8), CONTROL.text_end]
    assert stage.held(session) == [*BLOCK, *turn, *BLOCK]


# Room


def test_a_session_beyond_the_capacity_is_refused_and_those_that_run_go_on() -> None:
    stage = Stage(sessions=2)
    for name in "ab":
        stage.open(name)
        stage.hear(SILENT, name=name)
    assert stage.decoder.capacity == 2
    with pytest.raises(DecoderFull, match="all 2 sessions"):
        stage.open("c")
    assert not stage.hear(RESPOND, name="a").errors
    stage.play.close("b")
    stage.open("c")
    assert not stage.hear(RESPOND, name="c").errors


def test_settings_that_do_not_fit_are_refused() -> None:
    lm = ToldModel().cast()
    small = PagedCache(lm.config, pages=SMALL.positions // 16 - 1, page_positions=16)
    with pytest.raises(ValueError, match="hold no session"):
        UnifiedDecoder(lm, small, CONTROL, text_tokens(), SMALL)
    with pytest.raises(ValueError, match="more than the model's 4096"):
        Stage(positions=5000)
    with pytest.raises(ValueError, match="leave no room for 8 chunks"):
        Stage(positions=200)
