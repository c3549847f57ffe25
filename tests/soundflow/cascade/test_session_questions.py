"""How a session answers questions: when it thinks one is over, and what it asks the chat model."""

import pytest

from soundflow.cascade.chat import ChatUnavailable, Message, Role
from soundflow.decoder import Speaking
from soundflow.interaction import Ability, EndReason, Kind, PastTurn, SessionSpec
from tests.soundflow.cascade.stage import ADVICE, GLASS, Stage, stage


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
