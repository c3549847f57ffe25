import pytest

from soundflow.cascade.chat import ChatUnavailable, Message, Role
from soundflow.cascade.policy import POLICY
from soundflow.cascade.whisper_model import Task, WhisperError
from soundflow.decoder import Speaking
from soundflow.interaction import Ability, Action, EndReason, Kind, PastTurn, SessionSpec
from tests.soundflow.cascade.stage import Stage, chunk, stage

ADVICE = {row.name: row.advice for row in POLICY}
GLASS = {"Shatter": 0.9}
BARK = {"Bark": 0.9}


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


# Instructions


def test_what_is_not_understood_is_said_once() -> None:
    on = stage("make me a sandwich")
    on.hear_next(5)
    [(kind, notice)] = on.told
    assert kind is Kind.NOTICE
    assert "make me a sandwich" in notice


def test_an_instruction_replaces_the_one_before_and_ends_its_open_turn() -> None:
    on = stage("transcribe")
    on.hear_next(3, speech=True)
    [turn] = on.kinds
    assert on.ended(turn) is None
    on.session.instruct("count the dog barks")
    on.hear_next(2, speech=True)
    assert on.ended(turn) is EndReason.CANCELLED
    on.hear_next(sounds=BARK, burst=True)
    on.hear_next(3)
    assert on.told[1:] == [(Kind.COUNT, "One.")]


def test_an_instruction_that_names_another_language_is_heard_in_it() -> None:
    on = stage("translate", source_language="fr")
    on.say("Good morning.")
    on.session.instruct("translate from Spanish")
    on.say("Good morning.")
    assert [job.window.language for job in on.whisper.jobs[:1]] == ["fr"]
    assert [job.window.language for job in on.whisper.jobs[-1:]] == ["es"]
    assert on.told_of(Kind.TRANSLATION) == ["Good morning."] * 2


def test_a_spoken_command_starts_a_translation_beside_the_transcript() -> None:
    on = stage("transcribe")
    on.say("Start translating.")
    on.hear_next()
    [notice] = on.told_of(Kind.NOTICE)
    assert "translate speech" in notice
    on.say("Buenos días.")
    assert on.told_of(Kind.TRANSLATION) == ["Buenos días."]
    assert {job.window.task for job in on.whisper.jobs[-2:]} == {Task.TRANSCRIBE, Task.TRANSLATE}


def test_a_spoken_stop_ends_all_but_the_warnings() -> None:
    on = stage("transcribe and warn me of danger")
    on.say("Stop.")
    on.hear_next()
    [notice] = on.told_of(Kind.NOTICE)
    assert "warn of danger" in notice
    on.say("Nobody writes this down.")
    on.hear_next(sounds=GLASS)
    assert on.told_of(Kind.TRANSCRIPT) == ["Stop."]
    assert on.told_of(Kind.ADVICE) == [ADVICE["glass"]]


def test_a_command_is_heard_where_nobody_asked_for_text() -> None:
    on = stage("count the dog barks")
    verdicts = on.say("Start transcribing.")
    assert {verdict.action for verdict in verdicts} == {Action.SILENT}
    [job] = on.whisper.jobs  # one pass: nobody would see the text grow
    assert job.window.language == "en"
    on.hear_next()
    on.say("Good morning.")
    assert on.told_of(Kind.TRANSCRIPT) == ["Good morning."]


def test_a_command_is_followed_once_however_many_listen() -> None:
    on = stage("transcribe and translate")
    on.say("Stop translating.")
    on.hear_next()
    assert len(on.told_of(Kind.NOTICE)) == 1


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


# Questions


def test_a_question_that_sounds_over_is_answered_once_with_the_next_decision() -> None:
    on = stage("", Ability.CHAT)
    on.say("What colour is the sky?")
    assert on.told_of(Kind.ANSWER) == []
    [verdict] = on.hear_next()
    assert [start.kind for start in verdict.turns] == [Kind.ANSWER]
    on.hear_next(20)
    assert on.told == [(Kind.ANSWER, "It is blue.")]
    assert on.chat.asked == [[Message(Role.USER, "What colour is the sky?")]]


def test_a_session_listens_again_only_when_the_end_of_a_question_has_its_score() -> None:
    on = stage("", Ability.CHAT)
    on.workshop.held = True
    verdicts = on.say("What colour is the sky?")
    assert verdicts[-1].unsettled
    assert on.session.speak().speaking is Speaking.WAITING
    on.workshop.held = False
    on.speak()
    assert on.session.speak().speaking is Speaking.DONE


def test_nobody_scores_the_end_of_what_is_not_answered() -> None:
    on = stage("transcribe")
    on.say("What colour is the sky?")
    assert on.turn_end.asked == 0


def test_one_that_does_not_is_answered_only_after_a_long_pause() -> None:
    on = stage("", Ability.CHAT)
    on.turn_end.fixed = 0.1
    on.say("What colour is")
    on.hear_next()
    assert on.chat.asked == []
    on.say("the sky?")
    on.hear_next(3)
    assert on.told == [(Kind.ANSWER, "It is blue.")]
    assert on.chat.asked == [[Message(Role.USER, "What colour is the sky?")]]


def test_a_question_that_the_end_of_the_audio_cuts_short_is_answered() -> None:
    on = stage("", Ability.CHAT)
    on.turn_end.fixed = 0.1
    on.whisper.text = "What colour is the sky?"
    on.hear_next(3, speech=True, last=True)
    assert on.told == [(Kind.ANSWER, "It is blue.")]


def test_what_was_no_speech_after_all_is_not_answered() -> None:
    on = stage("", Ability.CHAT)
    on.whisper.text = ""
    on.hear_next(3, speech=True, last=True)
    assert on.chat.asked == []
    assert on.told_of(Kind.ANSWER) == [""]
    assert on.ended(1) is EndReason.CANCELLED


def test_a_question_is_asked_once_however_many_listen() -> None:
    on = stage("transcribe and translate", Ability.CHAT)
    on.say("What colour is the sky?")
    on.hear_next()
    assert on.chat.asked == [[Message(Role.USER, "What colour is the sky?")]]


def test_earlier_questions_and_answers_are_remembered() -> None:
    on = stage("", Ability.CHAT)
    on.say("What colour is the sky?")
    on.hear_next(2)
    on.say("And at night?")
    on.hear_next(2)
    assert on.chat.asked[-1] == [
        Message(Role.USER, "What colour is the sky?"),
        Message(Role.ASSISTANT, "It is blue."),
        Message(Role.USER, "And at night?"),
    ]


def test_a_rebuilt_session_remembers_its_answers_and_the_wish_how_to_talk() -> None:
    spec = SessionSpec("Be brief and speak like a pirate", frozenset({Ability.CHAT}))
    on = Stage(spec, [PastTurn(1, Kind.ANSWER, "It be blue.")])
    on.say("And at night?")
    on.hear_next(2)
    assert on.chat.asked == [
        [
            Message(Role.SYSTEM, "Be brief and speak like a pirate"),
            Message(Role.ASSISTANT, "It be blue."),
            Message(Role.USER, "And at night?"),
        ]
    ]


def test_an_answer_that_is_cancelled_stops_where_it_is() -> None:
    on = stage("", Ability.CHAT)
    on.chat.parts = ("It ", "is ", "blue.")

    def cancel_before_the_last(number: int) -> None:
        if number == 2:
            on.pieces += on.session.speak().pieces
            on.session.cancel(1)

    on.chat.before_part = cancel_before_the_last
    on.say("What colour is the sky?")
    on.hear_next()
    assert on.told == [(Kind.ANSWER, "It is")]
    assert on.ended(1) is EndReason.CANCELLED
    assert on.chat.given == ["It ", "is "]


def test_an_endpoint_that_fails_ends_the_answer_with_a_plain_sentence() -> None:
    on = stage("", Ability.CHAT)
    on.chat.parts = ("It is ",)
    on.chat.failure = ChatUnavailable("the chat endpoint http://x: it broke off; ask again")
    on.say("What colour is the sky?")
    on.hear_next()
    [(_, said)] = on.told
    assert said.startswith("It is ")
    assert "I cannot answer now: the chat endpoint http://x: it broke off; ask again" in said
    assert on.ended(1) is EndReason.ERROR
    on.chat.parts, on.chat.failure = ("Blue.",), None
    on.say("What colour is the sky?")
    on.hear_next()
    assert on.told_of(Kind.ANSWER)[1:] == ["Blue."]


def test_warnings_go_on_while_a_question_is_in_the_air() -> None:
    on = stage("warn me of danger", Ability.CHAT)
    on.turn_end.fixed = 0.1
    on.say("What colour is the sky?")
    on.hear_next(sounds=GLASS)
    assert on.told == [(Kind.ADVICE, ADVICE["glass"])]


def test_a_session_that_is_closed_in_an_answer_stops_making_it() -> None:
    on = stage("", Ability.CHAT)
    on.chat.before_part = lambda number: on.session.close() if number == 1 else None
    on.say("What colour is the sky?")
    on.hear_next()
    assert on.chat.given == ["It is "]


@pytest.mark.parametrize("score", [0.1, 0.9])
def test_speech_that_goes_on_is_not_interrupted_by_an_answer(score: float) -> None:
    on = stage("", Ability.CHAT)
    on.turn_end.fixed = score
    on.say("What colour")
    on.hear_next(6, speech=True)
    assert on.told_of(Kind.ANSWER) == []
