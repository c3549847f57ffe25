from dataclasses import dataclass, field

import pytest

from soundflow.cascade.answers import Answer, Reply
from soundflow.cascade.chat import ChatUnavailable, Message, Role
from soundflow.decoder import Speaking
from soundflow.interaction import EndReason, Kind, Piece, TurnStart
from tests.soundflow.cascade.stage import ScriptedChat, Workshop

QUESTION = [Message(Role.USER, "What colour is the sky?")]
END = Piece(4, 3, ended=EndReason.COMPLETE)


@dataclass
class Asked:
    """An answer to QUESTION as turn 4, and what it told of itself."""

    chat: ScriptedChat = field(default_factory=ScriptedChat)
    workshop: Workshop = field(default_factory=Workshop)
    changes: list[bool] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    known: bool = True

    def __post_init__(self) -> None:
        self.answer = Answer(TurnStart(4, Kind.ANSWER), self.ask, self.answers.append)

    def ask(self) -> Reply | None:
        if not self.known:
            return None
        return Reply(lambda: self.chat, QUESTION, self.workshop, lambda: self.changes.append(True))


@pytest.fixture
def asked() -> Asked:
    return Asked()


def texts(pieces: list[Piece]) -> list[str]:
    assert [piece.sequence for piece in pieces] == list(range(len(pieces)))
    return [piece.text for piece in pieces if not piece.ended]


def test_a_reply_comes_as_words_then_its_end(asked: Asked) -> None:
    assert asked.answer.step() == ([], Speaking.WAITING)
    asked.workshop.work()
    assert asked.answer.step() == (
        [Piece(4, 0, "It"), Piece(4, 1, " is"), Piece(4, 2, " blue."), END],
        Speaking.DONE,
    )
    assert asked.answers == ["It is blue."]
    assert asked.chat.asked == [QUESTION]


@pytest.mark.parametrize(
    "parts",
    [
        ("It is blue.\n今日は。",),
        ("It i", "s", " blue", ".", "\n今", "日は", "。"),
        (*"It is blue.\n今日は。",),
    ],
)
def test_the_same_text_makes_the_same_pieces_however_it_arrives(
    asked: Asked, parts: tuple[str, ...]
) -> None:
    pieces: list[Piece] = []
    asked.chat.parts = parts
    asked.chat.before_part = lambda number: pieces.extend(asked.answer.step()[0])
    asked.answer.step()
    asked.workshop.work()
    pieces += asked.answer.step()[0]
    assert texts(pieces) == ["It", " is", " blue.", "\n今", "日", "は", "。"]
    assert asked.answers == ["It is blue.\n今日は。"]


def test_each_part_can_be_said_before_the_next_is_made(asked: Asked) -> None:
    said: list[list[Piece]] = []
    asked.chat.before_part = lambda number: said.append(asked.answer.step()[0])
    asked.answer.step()
    asked.workshop.work()
    assert said == [[], [Piece(4, 0, "It"), Piece(4, 1, " is")]]
    assert asked.answer.step() == ([Piece(4, 2, " blue."), END], Speaking.DONE)


def test_every_part_and_the_end_ask_for_a_step(asked: Asked) -> None:
    asked.answer.step()
    asked.workshop.work()
    assert len(asked.changes) == len(asked.chat.parts) + 1


def test_it_waits_while_the_question_is_not_known(asked: Asked) -> None:
    asked.known = False
    assert asked.answer.step() == ([], Speaking.WAITING)
    assert asked.chat.asked == []
    asked.known = True
    asked.answer.step()
    asked.workshop.work()
    assert asked.answer.step()[1] is Speaking.DONE


def test_cancelled_before_it_began_it_says_nothing(asked: Asked) -> None:
    asked.answer.cancel()
    pieces, speaking = asked.answer.step()
    assert pieces == [Piece(4, 0, ended=EndReason.CANCELLED)]
    assert speaking is Speaking.DONE
    assert asked.answers == [""]
    asked.workshop.work()
    assert asked.chat.asked == []


def test_cancelled_in_the_middle_what_was_said_stays_said(asked: Asked) -> None:
    def cancel_at(number: int) -> None:
        if number == 1:
            asked.answer.step()
            asked.answer.cancel()

    asked.chat.before_part = cancel_at
    asked.answer.step()
    asked.workshop.work()
    assert asked.answer.step() == ([Piece(4, 2, ended=EndReason.CANCELLED)], Speaking.DONE)
    assert asked.answers == ["It is"]


@pytest.mark.parametrize(
    ("parts", "said"), [((), ""), (("It is",), "It is "), (("It ", "is "), "It is ")]
)
def test_a_model_that_cannot_answer_is_told_in_words(
    asked: Asked, parts: tuple[str, ...], said: str
) -> None:
    asked.chat.parts = parts
    asked.chat.failure = ChatUnavailable("it refused the API key; check the key")
    asked.answer.step()
    asked.workshop.work()
    pieces, speaking = asked.answer.step()
    told = f"{said}I cannot answer now: it refused the API key; check the key"
    assert "".join(texts(pieces)) == told
    assert (pieces[-1].ended, speaking) == (EndReason.ERROR, Speaking.DONE)


def test_a_fault_of_ours_ends_the_turn_and_is_logged(
    asked: Asked, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(number: int) -> None:
        raise ZeroDivisionError(number)

    asked.chat.before_part = break_down
    asked.answer.step()
    asked.workshop.work()
    pieces, speaking = asked.answer.step()
    assert (pieces[-1].ended, speaking) == (EndReason.ERROR, Speaking.DONE)
    assert "ZeroDivisionError" in caplog.text
