"""What a session makes of speech and sounds, and of several duties at once."""

from soundflow.cascade.whisper_model import WhisperError
from soundflow.interaction import Ability, Action, EndReason, Kind, PastTurn, SessionSpec
from tests.soundflow.cascade.stage import ADVICE, BARK, GLASS, Stage, chunk, stage

# Several duties at once


def test_advice_comes_beside_a_transcript_in_the_same_decision() -> None:
    on = stage("transcribe and warn me of danger")
    on.hear_next(2, speech=True)
    [verdict] = on.hear_next(speech=True, sounds=GLASS)
    assert {start.kind for start in verdict.turns} == {Kind.TRANSCRIPT, Kind.ADVICE}
    on.hear_next(2)
    assert on.told == [(Kind.TRANSCRIPT, "Hello there."), (Kind.ADVICE, ADVICE["glass"])]
    assert {on.ended(turn) for turn in on.kinds} == {EndReason.COMPLETE}


def test_nobody_is_warned_who_did_not_ask_for_it() -> None:
    on = stage("transcribe")
    [verdict] = on.hear_next(sounds=GLASS)
    assert verdict.action is Action.SILENT
    assert on.told == []


def test_a_queue_of_many_chunks_is_one_decision() -> None:
    on = stage("transcribe and warn me of danger")
    heard = [chunk(i, speech=i < 3, sounds=GLASS if i == 4 else None) for i in range(6)]
    verdict = on.hear(*heard)
    assert [(start.turn, start.kind) for start in verdict.turns] == [
        (1, Kind.TRANSCRIPT),
        (2, Kind.ADVICE),
    ]
    assert on.told_of(Kind.TRANSCRIPT) == ["Hello there."]


def test_one_of_two_turns_can_be_cancelled() -> None:
    on = stage("count the dog barks and warn me of danger")
    on.hear_next(2)
    verdict = on.session.listen([chunk(2, sounds=GLASS), chunk(3, sounds=BARK, burst=True)])
    assert [start.kind for start in verdict.turns] == [Kind.ADVICE, Kind.COUNT]
    on.session.cancel(2)
    on.speak()
    assert (on.ended(1), on.ended(2)) == (EndReason.COMPLETE, EndReason.CANCELLED)


def test_turns_are_numbered_on_after_those_of_the_past() -> None:
    spec = SessionSpec("warn me of danger")
    on = Stage(spec, [PastTurn(6, Kind.ADVICE, "…"), PastTurn(7, Kind.TRANSCRIPT, "Hello.")])
    on.hear_next(sounds=GLASS)
    assert on.kinds == {8: Kind.ADVICE}


# Sounds


def test_a_sound_is_named_when_it_is_over() -> None:
    on = stage("", Ability.DESCRIBE)
    assert {v.action for v in on.hear_next(2, sounds=BARK)} == {Action.SILENT}
    on.hear_next(3)
    assert on.told == [(Kind.DESCRIPTION, "A dog barking.")]


def test_a_sound_that_the_end_cuts_off_is_named_there() -> None:
    on = stage("", Ability.DESCRIBE)
    on.hear_next(2, sounds=BARK, last=True)
    assert on.told == [(Kind.DESCRIPTION, "A dog barking.")]


def test_each_burst_of_the_sound_is_counted() -> None:
    on = stage("count the dog barks")
    for _ in range(2):
        on.hear_next(sounds=BARK, burst=True)
        on.hear_next(3)
    assert on.told == [(Kind.COUNT, "One."), (Kind.COUNT, "Two.")]


def test_bursts_of_something_else_are_not_counted() -> None:
    on = stage("count the dog barks")
    on.hear_next(2, sounds={"Cough": 0.9}, burst=True)
    on.hear_next(3)
    assert on.told == []


def test_numbers_beyond_twelve_are_digits() -> None:
    on = stage("count the dog barks")
    on.hear_next(13, sounds=BARK, burst=True)
    on.hear_next(3)
    assert on.told_of(Kind.COUNT)[11:] == ["Twelve.", "13."]


def test_another_sound_is_counted_from_one_again() -> None:
    on = stage("count the dog barks")
    on.hear_next(2, sounds=BARK, burst=True)
    on.hear_next(3)
    on.session.instruct("count the coughs")
    on.hear_next(sounds={"Cough": 0.9}, burst=True)
    on.hear_next(3)
    assert on.told_of(Kind.COUNT) == ["One.", "Two.", "One."]


# Speech


def test_silent_audio_makes_no_decision_to_respond_and_no_pass() -> None:
    on = stage("transcribe, describe the sounds, warn me and answer my questions")
    assert {verdict.action for verdict in on.hear_next(20, last=True)} == {Action.SILENT}
    assert on.whisper.jobs == []
    assert on.told == []


def test_a_cancelled_transcript_ends_and_the_rest_is_a_new_turn() -> None:
    on = stage("transcribe")
    on.hear_next(3, speech=True)
    [turn] = on.kinds
    on.session.cancel(turn)
    on.speak()
    assert on.ended(turn) is EndReason.CANCELLED
    on.hear_next(3, speech=True)
    on.hear_next(2)
    assert len(on.kinds) == 2
    assert on.ended(turn + 1) is EndReason.COMPLETE


def test_a_pass_that_fails_costs_its_turn_and_no_other() -> None:
    on = stage("transcribe")
    on.whisper.text = WhisperError("out of memory")
    on.hear_next(3, speech=True)
    on.hear_next(2)
    assert EndReason.ERROR in {on.ended(turn) for turn in on.kinds}
    before = set(on.kinds)
    on.say("Good morning.")
    [turn] = on.kinds.keys() - before
    assert (on.text(turn), on.ended(turn)) == ("Good morning.", EndReason.COMPLETE)


def test_a_session_that_is_closed_in_the_middle_of_a_pass_leaves_nothing_to_do() -> None:
    on = stage("transcribe")
    on.whisper.held = True
    on.hear_next(3, speech=True)
    assert len(on.whisper.unanswered) == 1
    on.session.close()
    assert on.whisper.unanswered == []
