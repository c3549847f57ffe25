"""A turn ends early: because it is cancelled, or because somebody talks over it."""

from soundflow.interaction import (
    Ability,
    Action,
    EndReason,
    SessionSpec,
)
from tests.soundflow.unified.hashed_model import text_tokens
from tests.soundflow.unified.told_model import (
    LETTER,
    RESPOND,
    SILENT,
    Reply,
)
from tests.soundflow.unified.told_stage import (
    BLOCK,
    CONTROL,
    LETTERS,
    Stage,
    pieces,
    said,
    talk_over,
)


def test_a_turn_that_is_cancelled_keeps_what_was_said() -> None:
    stage = Stage(Reply(tokens=10))
    session = stage.open()
    session.queue += stage.sounds["a"].chunks(RESPOND)
    while len(pieces(session)) < 2:
        stage.play.step()
    stage.decoder.cancel(session.state, 1)
    stage.play.run("a")
    assert pieces(session)[-1].ended is EndReason.CANCELLED
    stage.hear(SILENT)
    kept = stage.held(session)[len(BLOCK) : -len(BLOCK)]
    assert (kept[0], kept[-1]) == (CONTROL.text_begin, CONTROL.text_end)
    assert kept[1:-1] == list(range(LETTER, LETTER + len(kept) - 2))
    assert text_tokens().decode(kept) == said(session)
    assert len(kept) < 12


def test_cancelling_another_turn_changes_nothing() -> None:
    stage = Stage()
    session = stage.open()
    session.queue += stage.sounds["a"].chunks(RESPOND)
    while not pieces(session):
        stage.play.step()
    stage.decoder.cancel(session.state, 2)
    stage.play.run("a")
    assert pieces(session)[-1].ended is EndReason.COMPLETE


# Interruption


def test_who_is_answered_while_the_session_speaks_ends_its_turn() -> None:
    stage = Stage(Reply(tokens=20))
    session = stage.open()
    talk_over(stage, session, RESPOND)
    stage.lm.reply = Reply(tokens=2)
    stage.play.run("a")
    ends = [piece.ended for piece in pieces(session) if piece.ended]
    assert ends == [EndReason.INTERRUPTED, EndReason.COMPLETE]
    assert [verdict.action for verdict in session.verdicts] == [Action.RESPOND] * 2
    assert stage.decoder.counts["interruption"] == 1
    stage.hear(SILENT)
    held = stage.held(session)
    first = held[len(BLOCK) : held.index(CONTROL.text_end) + 1]
    assert first == [CONTROL.text_begin, *range(LETTER, LETTER + 6), CONTROL.text_end]
    second = [CONTROL.text_begin, *LETTERS[:2], CONTROL.text_end]
    assert held == [*BLOCK, *first, *BLOCK, *second, *BLOCK]


def test_a_silent_chunk_lets_a_turn_go_on_as_if_nobody_had_looked() -> None:
    stage = Stage(Reply(tokens=20))
    session = stage.open()
    talk_over(stage, session, SILENT, SILENT)
    stage.play.run("a")
    assert said(session) == text_tokens().decode(range(LETTER, LETTER + 20))
    assert stage.decoder.counts["interruption"] == 0
    stage.hear(SILENT)
    turn = [CONTROL.text_begin, *range(LETTER, LETTER + 20), CONTROL.text_end]
    assert stage.held(session) == [*BLOCK, *turn, *BLOCK, *BLOCK, CONTROL.silence, *BLOCK]


def test_each_chunk_is_looked_at_once() -> None:
    stage = Stage(Reply(tokens=20))
    session = stage.open()
    talk_over(stage, session, SILENT)
    looked = len(stage.lm.batches)
    stage.play.run("a")
    assert [counts for counts in stage.lm.batches[looked:] if max(counts) > 1] == [[14], [13]]


def test_a_transcript_is_not_interrupted() -> None:
    stage = Stage(Reply(tokens=20))
    session = stage.open(spec=SessionSpec(abilities=frozenset({Ability.TRANSCRIBE})))
    talk_over(stage, session, RESPOND)
    stage.play.run("a")
    ends = [piece.ended for piece in pieces(session) if piece.ended]
    assert ends == [EndReason.COMPLETE] * 2


def test_what_has_hardly_begun_is_not_interrupted() -> None:
    stage = Stage(Reply(tokens=20), peek_from_tokens=16)
    session = stage.open()
    talk_over(stage, session, RESPOND, after_tokens=1)
    session.queue += stage.sounds["a"].chunks(SILENT)
    stage.play.run("a")
    assert [piece.ended for piece in pieces(session) if piece.ended] == [EndReason.COMPLETE]
