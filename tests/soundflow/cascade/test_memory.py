"""A session that is rebuilt from a verdict's memory goes on as the lost one would have."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from soundflow.decoder import Verdict
from soundflow.features import Features
from soundflow.interaction import Ability, EndReason, Kind, SessionSpec
from tests.soundflow.cascade.stage import ADVICE, BARK, Stage, chunk

SIREN = {"Siren": 0.9}


@dataclass(frozen=True)
class Step:
    """Chunks that are drained together, and what is done before; `text` is what Whisper hears."""

    chunks: Sequence[dict[str, Any]]
    text: str = "Hello there."
    instruct: str = ""
    cancel: Kind | None = None


@dataclass
class Play:
    """What happens to a session, step by step."""

    spec: SessionSpec
    steps: list[Step] = field(default_factory=list)

    def hear(self, times: int = 1, *, text: str = "", **what: Any) -> "Play":
        self.steps += [Step([what], text=text) for _ in range(times)]
        return self

    def say(self, text: str) -> "Play":
        return self.hear(3, text=text, speech=True).hear(3, text=text)

    def together(self, *chunks: dict[str, Any], text: str = "Hello there.") -> "Play":
        self.steps.append(Step(chunks, text=text))
        return self

    def then(self, **what: Any) -> "Play":
        self.steps.append(Step([{}], **what))
        return self

    def features(self, step: int) -> list[Features]:
        first = sum(len(each.chunks) for each in self.steps[:step])
        return [chunk(first + i, **what) for i, what in enumerate(self.steps[step].chunks)]

    def perform(self, on: Stage, step: int) -> Verdict:
        """Do a step to a session that has heard those before."""
        wanted = self.steps[step]
        on.whisper.text = wanted.text
        if wanted.instruct:
            on.session.instruct(wanted.instruct)
        for turn, kind in on.kinds.items():
            if kind is wanted.cancel and on.ended(turn) is None:
                on.session.cancel(turn)
        return on.hear(*self.features(step))

    def replay(self, on: Stage, window_start: int, upto: int) -> None:
        """Let a session hear again, chunk by chunk, what a lost one heard."""
        for step in range(upto + 1):
            on.whisper.text = self.steps[step].text
            for features in self.features(step):
                if features.index >= window_start:
                    on.hear(features)


Told = tuple[Kind, str, EndReason | None]


def told(on: Stage) -> list[Told]:
    return [(kind, on.text(turn), on.ended(turn)) for turn, kind in sorted(on.kinds.items())]


def assert_rebuilt_anywhere(play: Play, look: Callable[[Stage], Any] = lambda on: None) -> Stage:
    """Rebuild after each step; return the session that nothing happened to."""
    undisturbed, verdicts, known = Stage(play.spec), [], []
    for step in range(len(play.steps)):
        verdicts.append(play.perform(undisturbed, step))
        known.append(len(undisturbed.kinds))
    for step, verdict in enumerate(verdicts):
        assert verdict.window_start is not None
        on = Stage(play.spec, memory=verdict.memory)
        play.replay(on, verdict.window_start, step)
        for later in range(step + 1, len(play.steps)):
            play.perform(on, later)
        again = told(on)
        assert len(again) >= len(undisturbed.kinds) - known[step]
        assert again == told(undisturbed)[len(undisturbed.kinds) - len(again) :], step
        assert look(on) == look(undisturbed), step
    return undisturbed


def test_counts_go_on_and_a_lasting_siren_is_advised_on_once() -> None:
    play = Play(SessionSpec("count the dog barks and warn me of danger"))
    for _ in range(3):
        play.hear(sounds=BARK | SIREN, burst=True).hear(4, sounds=SIREN)
    on = assert_rebuilt_anywhere(play)
    assert on.told_of(Kind.COUNT) == ["One.", "Two.", "Three."]
    assert on.told_of(Kind.ADVICE) == [ADVICE["siren"]]


def test_a_lasting_sound_is_named_once_when_it_is_over() -> None:
    play = Play(SessionSpec("", frozenset({Ability.DESCRIBE})))
    play.hear(2).hear(9, sounds=BARK).hear(5)
    on = assert_rebuilt_anywhere(play)
    assert on.told_of(Kind.DESCRIPTION) == ["A dog barking."]


def test_a_typed_instruction_is_followed_from_its_own_chunk_on() -> None:
    play = Play(SessionSpec("count the dog barks"))
    play.hear(sounds=BARK, burst=True).hear(3).then(instruct="count the coughs")
    play.hear(2, sounds={"Cough": 0.9}, burst=True).hear(3)
    on = assert_rebuilt_anywhere(play)
    assert on.told_of(Kind.COUNT) == ["One.", "One.", "Two."]


def test_an_instruction_in_the_middle_of_an_utterance_ends_its_turn_where_it_did() -> None:
    play = Play(SessionSpec("transcribe"))
    play.hear(2).hear(3, text="Hello there.", speech=True)
    play.steps.append(Step([{"speech": True}], instruct="count the dog barks"))
    play.hear(3).hear(sounds=BARK, burst=True).hear(3)
    on = assert_rebuilt_anywhere(play)
    assert [(kind, ended) for kind, _, ended in told(on)] == [
        (Kind.TRANSCRIPT, EndReason.CANCELLED),
        (Kind.COUNT, EndReason.COMPLETE),
    ]


def test_a_spoken_command_stays_in_force() -> None:
    play = Play(SessionSpec("transcribe")).say("Start translating.").hear(8).say("Buenos días.")
    on = assert_rebuilt_anywhere(play)
    assert on.told_of(Kind.TRANSLATION) == ["Buenos días."]
    assert len(on.told_of(Kind.NOTICE)) == 1


def test_a_notice_about_the_first_instruction_is_not_repeated() -> None:
    on = assert_rebuilt_anywhere(Play(SessionSpec("make me a sandwich")).hear(10))
    assert len(on.told_of(Kind.NOTICE)) == 1


def test_a_conversation_is_remembered_with_its_questions() -> None:
    play = Play(SessionSpec("", frozenset({Ability.CHAT})))
    play.say("What colour is the sky?").hear(22).say("And at night?").hear(3)
    on = assert_rebuilt_anywhere(play, look=lambda on: on.session._talk.past)
    assert [message.text for message in on.chat.asked[-1]] == [
        "What colour is the sky?",
        "It is blue.",
        "And at night?",
    ]


def test_half_a_question_is_remembered() -> None:
    play = Play(SessionSpec("", frozenset({Ability.CHAT})))
    play.hear(3, text="What colour", speech=True).hear(2, text="What colour")
    play.hear(3, text="is the sky?", speech=True).hear(6, text="is the sky?")
    on = assert_rebuilt_anywhere(play, look=lambda on: on.session._talk.past)
    assert on.told_of(Kind.ANSWER)


def test_what_goes_on_after_a_cancelled_turn_is_a_turn_of_its_own_again() -> None:
    play = Play(SessionSpec("transcribe")).hear(2).hear(3, text="One two.", speech=True)
    play.steps.append(Step([{"speech": True}], text="Three.", cancel=Kind.TRANSCRIPT))
    play.hear(2, text="Three.", speech=True).hear(3, text="Three.")
    on = assert_rebuilt_anywhere(play)
    assert [(text, ended) for _, text, ended in told(on)] == [
        ("One two.", EndReason.CANCELLED),
        ("Three.", EndReason.COMPLETE),
    ]


def test_chunks_drained_together_are_heard_together_again() -> None:
    play = Play(SessionSpec("transcribe and warn me of danger"))
    play.together({}, {}).together({"speech": True}, {"speech": True, "sounds": SIREN})
    play.together({"speech": True, "sounds": SIREN}, {"sounds": SIREN}, {}, {}).hear(2)
    on = assert_rebuilt_anywhere(play)
    assert {kind for kind, _, _ in told(on)} == {Kind.TRANSCRIPT, Kind.ADVICE}


def test_a_silent_session_depends_on_little_and_remembers_little_however_long_it_lasts() -> None:
    on = Stage(SessionSpec("transcribe, describe the sounds and count the dog barks"))
    after_a_minute = on.hear_next(150)[-1]
    after_five = on.hear_next(600)[-1]
    assert after_five.window_start is not None
    assert on.next_index - 10 <= after_five.window_start
    assert len(after_five.memory) <= len(after_a_minute.memory) + 10  # digits of chunk numbers


def test_a_memory_that_is_not_readable_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        on = Stage(SessionSpec("transcribe"), memory='{"rest": 1}')
    assert "not readable" in caplog.text
    on.say("Good morning.")
    assert on.told_of(Kind.TRANSCRIPT) == ["Good morning."]
