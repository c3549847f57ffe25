from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from soundflow.cascade.ears import Ear
from soundflow.cascade.speech import SpeechTracker
from soundflow.cascade.whisper_model import WhisperError
from soundflow.decoder import Speaking
from soundflow.interaction import EndReason, Kind, Piece, TurnStart
from tests.soundflow.cascade.stage import ScriptedWhisper, chunk


@dataclass
class Heard:
    """An ear, what it told of whole utterances, and how often it asked to be stepped."""

    whisper: ScriptedWhisper = field(default_factory=ScriptedWhisper)
    utterances: list[str] = field(default_factory=list)
    ready: list[bool] = field(default_factory=list)
    turn: int = 0

    def ear(self, kind: Kind | None = Kind.TRANSCRIPT) -> Ear:
        tracker = SpeechTracker(self.next_turn, watched=kind is not None)
        return Ear(kind, tracker, self.whisper, self.utterances.append, self.on_ready)

    def next_turn(self) -> int:
        self.turn += 1
        return self.turn

    def on_ready(self) -> None:
        self.ready.append(True)


@pytest.fixture
def heard() -> Heard:
    return Heard()


def hear(ear: Ear, *speech: bool, first: int = 0) -> None:
    for index, each in enumerate(speech, first):
        ear.hear(chunk(index, speech=each))


def step_until_done(ear: Ear, work: Callable[[], bool]) -> list[Piece]:
    pieces: list[Piece] = []
    while True:
        made, speaking = ear.step()
        pieces += made
        if speaking is Speaking.DONE:
            return pieces
        assert work(), "waits for nothing"


def test_an_utterance_is_told_whole_once(heard: Heard) -> None:
    ear = heard.ear()
    hear(ear, True, True, True)
    assert ear.starts() == [TurnStart(1, Kind.TRANSCRIPT)]
    step_until_done(ear, heard.whisper.work)
    assert heard.utterances == []
    hear(ear, False, False, first=3)
    pieces = step_until_done(ear, heard.whisper.work)
    assert heard.utterances == ["Hello there."]
    assert pieces[-1].ended is EndReason.COMPLETE
    assert not ear.busy


def test_it_waits_for_a_pass_and_asks_to_be_stepped_when_it_is_done(heard: Heard) -> None:
    ear = heard.ear()
    hear(ear, True, True)
    assert ear.step() == ([], Speaking.WAITING)
    assert ear.step() == ([], Speaking.WAITING)
    assert (len(heard.whisper.jobs), heard.ready) == (1, [])
    heard.whisper.work()
    assert heard.ready == [True]
    [shown], _ = ear.step()
    assert (shown.text, shown.final) == ("Hello there.", False)


def test_an_ear_that_nobody_sees_shows_nothing_and_tells_all(heard: Heard) -> None:
    ear = heard.ear(None)
    hear(ear, True, True, True, False, False)
    assert ear.busy
    assert ear.starts() == []
    assert ear.cancel(1) == []  # its turns have numbers of their own
    assert step_until_done(ear, heard.whisper.work) == []
    assert heard.utterances == ["Hello there."]


def test_a_failed_pass_ends_its_turn_with_an_error_and_tells_nothing(heard: Heard) -> None:
    ear = heard.ear()
    heard.whisper.text = WhisperError("out of memory")
    hear(ear, True, True, True, False, False)
    ear.starts()
    [end] = step_until_done(ear, heard.whisper.work)
    assert end.ended is EndReason.ERROR
    assert heard.utterances == []


def test_a_turn_that_is_cancelled_ends_once_and_its_pass_is_not_taken(heard: Heard) -> None:
    ear = heard.ear()
    hear(ear, True, True)
    ear.starts()
    ear.step()
    [end] = ear.cancel(1)
    assert (end.turn, end.ended) == (1, EndReason.CANCELLED)
    assert ear.cancel(1) == []
    assert step_until_done(ear, heard.whisper.work) == []
    assert heard.utterances == []


def test_what_was_final_of_a_turn_that_is_cancelled_is_no_utterance(heard: Heard) -> None:
    ear = heard.ear()
    pieces: list[Piece] = []
    for index in range(12):
        hear(ear, True, first=index)
        ear.starts()
        pieces += step_until_done(ear, heard.whisper.work)
    assert "Hello there." in [piece.text for piece in pieces if piece.final]
    ear.cancel(1)
    assert heard.utterances == []


def test_nothing_is_kept_of_utterances_that_are_over(heard: Heard) -> None:
    ear = heard.ear()
    for number in range(5):
        hear(ear, True, True, True, False, False, first=number * 5)
        ear.starts()
        step_until_done(ear, heard.whisper.work)
    assert len(heard.utterances) == 5
    assert (ear._said, ear._open) == ({}, set())


def test_stopping_ends_the_open_turns_and_gives_up_the_pass(heard: Heard) -> None:
    ear = heard.ear()
    hear(ear, True, True)
    ear.starts()
    ear.step()
    assert [piece.ended for piece in ear.stop()] == [EndReason.CANCELLED]
    assert heard.whisper.unanswered == []


def test_silence_needs_no_pass(heard: Heard) -> None:
    ear = heard.ear()
    hear(ear, *[False] * 10)
    assert not ear.busy
    assert ear.step() == ([], Speaking.DONE)
    assert heard.whisper.jobs == []
