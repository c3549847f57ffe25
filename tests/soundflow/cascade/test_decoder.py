import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from soundflow.cascade import decoder as decoder_module
from soundflow.cascade.chat import ChatConfig, ChatModel
from soundflow.cascade.decoder import CascadeDecoder
from soundflow.cascade.session import CascadeSession
from soundflow.checkpoint import ModelMissing
from soundflow.decoder import Speaking, Spoken, Verdict
from soundflow.features import Features
from soundflow.interaction import Ability, Action, EndReason, Kind, SessionSpec
from tests.soundflow.cascade.stage import ScriptedChat, ScriptedTurnEnd, ScriptedWhisper, chunk
from tests.waiting import DEADLINE_S

TRANSCRIBE = SessionSpec(abilities=frozenset({Ability.TRANSCRIBE}))
CHAT = SessionSpec(abilities=frozenset({Ability.CHAT}))


@dataclass
class Rig:
    """A decoder around scripted parts, but for its own threads, and whom it wanted stepped."""

    whisper: ScriptedWhisper = field(default_factory=ScriptedWhisper)
    readied: "list[CascadeSession]" = field(default_factory=list)
    changed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.decoder = CascadeDecoder(self.whisper, ScriptedTurnEnd(), ChatConfig())
        self.decoder.start(self.ready)

    def ready(self, state: CascadeSession) -> None:
        self.readied.append(state)
        self.changed.set()

    def until_done(self, state: CascadeSession) -> list[Spoken]:
        """Step a session that speaks as the engine does: again when it is ready."""
        steps: list[Spoken] = []
        while True:
            self.changed.clear()
            [step] = self.decoder.step((), [(state, ())]).spoken
            assert isinstance(step, Spoken)
            steps.append(step)
            if step.speaking is Speaking.DONE:
                return steps
            self.whisper.work()
            assert self.changed.wait(DEADLINE_S), "nobody would step the session again"


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.decoder.stop()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[ScriptedChat]:
    """The chat models that were loaded; each is a scripted one."""
    models: list[ScriptedChat] = []

    def open_scripted(config: ChatConfig) -> ChatModel:
        models.append(ScriptedChat())
        return models[-1]

    monkeypatch.setattr(decoder_module, "open_chat", open_scripted)
    return models


def deaf(index: int) -> Features:
    """A chunk whose features are missing."""
    return Features("call", index, {})


def ask(rig: Rig, state: CascadeSession) -> Verdict:
    """Let a session hear a question and what follows until it decides to answer."""
    for index in range(6):
        [verdict] = rig.decoder.step([(state, [chunk(index, speech=index < 3)])], ()).heard
        assert isinstance(verdict, Verdict)
        if verdict.action is Action.RESPOND:
            return verdict
        if verdict.unsettled:
            rig.until_done(state)
    raise AssertionError("the question was not answered")


def test_it_does_everything_that_there_is_to_do(rig: Rig) -> None:
    assert rig.decoder.info.abilities == frozenset(Ability)


def test_a_session_that_fails_costs_another_of_its_batch_nothing(rig: Rig) -> None:
    broken, sound = rig.decoder.open(TRANSCRIBE, []), rig.decoder.open(TRANSCRIBE, [])
    queue = [chunk(0, speech=True), chunk(1, speech=True)]
    failed, verdict = rig.decoder.step([(broken, [deaf(0)]), (sound, queue)], ()).heard
    assert isinstance(failed, KeyError)
    assert isinstance(verdict, Verdict)
    assert [start.kind for start in verdict.turns] == [Kind.TRANSCRIPT]
    assert "Hello there." in [p.text for step in rig.until_done(sound) for p in step.pieces]


def test_one_that_fails_while_it_speaks_costs_another_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = rig.decoder.open(TRANSCRIBE, []), rig.decoder.open(TRANSCRIBE, [])
    queue = [chunk(0, speech=True), chunk(1, speech=True)]
    rig.decoder.step([(broken, queue), (sound, queue)], ())
    monkeypatch.setattr(rig.whisper, "submit", failing_once(rig.whisper.submit))
    failed, spoken = rig.decoder.step((), [(broken, ()), (sound, ())]).spoken
    assert isinstance(failed, ZeroDivisionError)
    assert isinstance(spoken, Spoken)


def test_sessions_are_told_apart_when_they_are_ready(rig: Rig) -> None:
    states = [rig.decoder.open(TRANSCRIBE, []) for _ in range(2)]
    rig.decoder.step([(state, [chunk(0, speech=True)]) for state in states], ())
    rig.decoder.step((), [(state, ()) for state in states])
    rig.whisper.work()
    assert rig.readied == states


def test_closing_in_the_middle_of_a_pass_leaves_no_pass(rig: Rig) -> None:
    state = rig.decoder.open(TRANSCRIBE, [])
    rig.decoder.step([(state, [chunk(0, speech=True)])], ())
    rig.decoder.step((), [(state, ())])
    assert len(rig.whisper.unanswered) == 1
    rig.decoder.close(state)
    assert rig.whisper.unanswered == []


def test_the_chat_model_is_loaded_by_the_first_question_and_only_once(
    rig: Rig, opened: list[ScriptedChat]
) -> None:
    first, second = rig.decoder.open(CHAT, []), rig.decoder.open(CHAT, [])
    for state in (first, second):
        verdict = ask(rig, state)
        assert [start.kind for start in verdict.turns] == [Kind.ANSWER]
        said = [piece.text for step in rig.until_done(state) for piece in step.pieces]
        assert "".join(said) == "It is blue."
    assert len(opened) == 1
    assert len(opened[0].asked) == 2


def test_a_chat_model_that_is_missing_costs_the_answer_and_not_the_session(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(config: ChatConfig) -> ChatModel:
        raise ModelMissing("smollm2 is missing; run: soundflow models fetch")

    monkeypatch.setattr(decoder_module, "open_chat", missing)
    state = rig.decoder.open(CHAT, [])
    [start] = ask(rig, state).turns
    pieces = [piece for step in rig.until_done(state) for piece in step.pieces]
    assert "soundflow models fetch" in "".join(piece.text for piece in pieces)
    assert (pieces[-1].turn, pieces[-1].ended) == (start.turn, EndReason.ERROR)


def test_a_chat_model_that_hangs_leaves_the_pauses_of_others_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, goes_on = threading.Event(), threading.Event()

    def hang(number: int) -> None:
        asked.set()
        assert goes_on.wait(2 * DEADLINE_S)

    monkeypatch.setattr(decoder_module, "open_chat", lambda config: ScriptedChat(before_part=hang))
    monkeypatch.setattr(decoder_module, "REPLY_THREADS", 1)
    rig = Rig()
    asking, pausing = rig.decoder.open(CHAT, []), rig.decoder.open(CHAT, [])
    ask(rig, asking)
    rig.decoder.step((), [(asking, ())])
    assert asked.wait(DEADLINE_S)
    assert ask(rig, pausing).turns  # it takes a score to see that the question is over
    goes_on.set()
    rig.decoder.stop()


def test_stopping_ends_every_thread(opened: list[ScriptedChat]) -> None:
    before = set(threading.enumerate())
    rig = Rig()
    state = rig.decoder.open(CHAT, [])
    ask(rig, state)
    rig.until_done(state)
    started = set(threading.enumerate()) - before
    assert started
    rig.decoder.stop()
    for thread in started:
        thread.join(DEADLINE_S)
    assert set(threading.enumerate()) <= before


def failing_once(call: Callable[..., object]) -> Callable[..., object]:
    calls = []

    def wrapped(*args: object) -> object:
        calls.append(args)
        if len(calls) == 1:
            raise ZeroDivisionError
        return call(*args)

    return wrapped
