from dataclasses import dataclass, field

import numpy as np
import pytest

from soundflow.audio import CHUNK_MS
from soundflow.cascade.chat import Message, Role
from soundflow.cascade.conversation import KEPT_MESSAGES, LONG_PAUSE_MS, Conversation
from soundflow.cascade.turn_end import FRAMES
from soundflow.cascade.whisper_model import MELS
from tests.soundflow.cascade.stage import ScriptedTurnEnd, Workshop


@dataclass
class Talk:
    """A conversation whose turn-end scores come when the workshop works."""

    turn_end: ScriptedTurnEnd = field(default_factory=ScriptedTurnEnd)
    workshop: Workshop = field(default_factory=Workshop)
    ready: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.conversation = Conversation(
            self.turn_end, self.workshop, lambda: self.ready.append(True)
        )
        self.hear()

    def hear(self, chunks: int = 1) -> None:
        for _ in range(chunks):
            self.conversation.hear(np.zeros((40, MELS), np.float32))

    def ask(self, text: str, *, score: float | Exception) -> None:
        """Let someone say this and pause."""
        self.turn_end.fixed = score
        self.conversation.asked.append(text)
        self.conversation.note_speech(goes_on=True, paused=False)
        self.conversation.note_speech(goes_on=False, paused=True)


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_nothing_asked_is_never_over(talk: Talk) -> None:
    for _ in range(10):
        talk.conversation.note_speech(goes_on=False, paused=False)
    assert not talk.conversation.question_is_over()


def test_a_question_is_over_once_its_end_is_known_to_sound_so(talk: Talk) -> None:
    talk.ask("Why?", score=0.9)
    assert talk.conversation.unsettled
    assert not talk.conversation.question_is_over()
    talk.workshop.work()
    assert talk.ready == [True]
    assert not talk.conversation.unsettled
    assert talk.conversation.question_is_over()


def test_one_that_sounds_unfinished_is_over_after_a_long_pause(talk: Talk) -> None:
    talk.ask("Why do", score=0.1)
    talk.workshop.work()
    quiet_ms = CHUNK_MS  # the chunk with the pause
    while not talk.conversation.question_is_over():
        talk.conversation.note_speech(goes_on=False, paused=False)
        quiet_ms += CHUNK_MS
    assert quiet_ms == LONG_PAUSE_MS


def test_going_on_starts_the_pause_anew(talk: Talk) -> None:
    talk.ask("Why do", score=0.1)
    talk.workshop.work()
    talk.conversation.note_speech(goes_on=False, paused=False)
    talk.conversation.note_speech(goes_on=True, paused=False)
    talk.conversation.note_speech(goes_on=False, paused=False)
    assert not talk.conversation.question_is_over()


def test_a_score_that_cannot_be_made_leaves_it_to_the_pause(talk: Talk) -> None:
    talk.ask("Why?", score=RuntimeError("no such input"))
    talk.workshop.work()
    assert not talk.conversation.question_is_over()
    for _ in range(LONG_PAUSE_MS // CHUNK_MS):
        talk.conversation.note_speech(goes_on=False, paused=False)
    assert talk.conversation.question_is_over()


def test_asking_takes_all_that_was_said_and_the_past(talk: Talk) -> None:
    talk.conversation.asked += ["Why is", "the sky blue?"]
    assert talk.conversation.take_question("Be brief.") == [
        Message(Role.SYSTEM, "Be brief."),
        Message(Role.USER, "Why is the sky blue?"),
    ]
    assert talk.conversation.asked == []
    talk.conversation.answered("Because it scatters.")
    talk.conversation.asked.append("And at night?")
    assert talk.conversation.take_question("") == [
        Message(Role.USER, "Why is the sky blue?"),
        Message(Role.ASSISTANT, "Because it scatters."),
        Message(Role.USER, "And at night?"),
    ]


def test_memory_is_bounded_for_ever(talk: Talk) -> None:
    for number in range(100):
        talk.hear(5)
        talk.conversation.asked.append(f"Question {number}?")
        talk.conversation.take_question("")
        talk.conversation.answered(f"Answer {number}.")
    assert len(talk.conversation.past) == KEPT_MESSAGES
    assert talk.conversation.past[-1].text == "Answer 99."
    assert len(talk.conversation.recent_TM) == FRAMES


def test_questions_that_get_no_answer_are_not_kept_for_ever(talk: Talk) -> None:
    for number in range(100):
        talk.conversation.asked.append(f"Question {number}?")
        asked = talk.conversation.take_question("")
    assert len(asked) == KEPT_MESSAGES
    assert asked[-1].text == "Question 99?"
