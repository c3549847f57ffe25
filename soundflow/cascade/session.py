"""One session of the cascade: what it hears, what it has to say, and by which rules."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

from soundflow.cascade.answers import Answer, Reply
from soundflow.cascade.chat import ChatModel, Message, Role
from soundflow.cascade.conversation import Conversation
from soundflow.cascade.counting import CountTracker
from soundflow.cascade.duties import Duties
from soundflow.cascade.ears import Ear
from soundflow.cascade.sounds import AlarmTracker, EventTracker
from soundflow.cascade.speech import SpeechTracker
from soundflow.cascade.turn_end import TurnEnd
from soundflow.cascade.turns import Statement
from soundflow.cascade.vocabulary import SoundGroup
from soundflow.cascade.whisper import WhisperRuntime
from soundflow.cascade.whisper_model import Task
from soundflow.decoder import Speaking, Spoken, Verdict
from soundflow.features import Features
from soundflow.interaction import Ability, Action, Kind, PastTurn, Piece, SessionSpec, TurnStart

NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve"),
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What all sessions share.

    chat: returns the chat model, loading it when it is first wanted.
    executor: for replies and turn-end scores, which block.
    """

    whisper: WhisperRuntime
    chat: Callable[[], ChatModel]
    turn_end: TurnEnd
    executor: Executor


class CascadeSession:
    """Listens and speaks by rules; `soundflow.decoder.Decoder` says what the calls mean."""

    def __init__(
        self,
        spec: SessionSpec,
        history: Sequence[PastTurn],
        parts: Parts,
        ready: Callable[["CascadeSession"], None],
    ) -> None:
        self._parts = parts
        self._ready = lambda: ready(self)
        self._duties = Duties.of(spec)
        self._turn = max((past.turn for past in history), default=0)
        self._unseen_turn = 0
        self._alarms = AlarmTracker()
        self._events = EventTracker()
        self._counted: SoundGroup | None = None
        self._counter: CountTracker | None = None
        self._count = 0
        self._ears: dict[Kind | None, Ear] = {}
        self._language = self._duties.source_language  # that the ears listen for
        answers = [past.text for past in history if past.kind is Kind.ANSWER]
        self._talk = Conversation(
            parts.turn_end,
            parts.executor,
            self._ready,
            [Message(Role.ASSISTANT, text) for text in answers],
        )
        self._bursts: list[Statement | Answer | Ear] = []
        self._answer: Answer | None = None
        self._loose: list[Piece] = []

    def listen(self, queue: Sequence[Features]) -> Verdict:
        """Hear all that is queued, then decide."""
        self._follow_duties()
        starts: list[TurnStart] = []
        for features in queue:
            starts += self._hear(features)
        starts += self._attend()
        if self._has(Ability.CHAT):
            starts += self._maybe_answer(at_end=queue[-1].last)
        starts += self._notices()
        if not starts:
            unsettled = bool(self._bursts or self._loose) or self._talk.unsettled
            return Verdict(Action.SILENT, unsettled=unsettled)
        return Verdict(Action.RESPOND, tuple(sorted(starts, key=lambda start: start.turn)))

    def speak(self) -> Spoken:
        """Advance everything that is being said."""
        pieces, self._loose = self._loose, []
        going_on: list[Statement | Answer | Ear] = []
        for burst in self._bursts:
            said, speaking = burst.step()
            pieces += said
            if speaking is not Speaking.DONE:
                going_on.append(burst)
        self._bursts = going_on
        waiting = bool(going_on) or self._talk.unsettled
        return Spoken(tuple(pieces), Speaking.WAITING if waiting else Speaking.DONE)

    def instruct(self, text: str) -> None:
        """Follow a typed instruction from the next chunk on."""
        self._duties.instruct(text)

    def cancel(self, turn: int) -> None:
        """Give up a turn."""
        for burst in self._bursts:
            if not isinstance(burst, Ear) and burst.start.turn == turn:
                burst.cancel()
        for ear in self._ears.values():
            self._loose += ear.cancel(turn)

    def close(self) -> None:
        """Stop what is being made for this session."""
        for ear in self._ears.values():
            ear.close()
        if self._answer:
            self._answer.cancel()

    # Duties

    def _has(self, ability: Ability) -> bool:
        return self._duties.has(ability)

    def _follow_duties(self) -> None:
        """Take up and leave what the instructions of the meantime ask for."""
        ears: dict[Kind | None, Task] = {}
        if self._has(Ability.TRANSCRIBE):
            ears[Kind.TRANSCRIPT] = Task.TRANSCRIBE
        if self._has(Ability.TRANSLATE):
            ears[Kind.TRANSLATION] = Task.TRANSLATE
        if not ears:  # questions and spoken commands are heard where nobody asked for text
            ears[None] = Task.TRANSCRIBE
        same_language = self._duties.source_language == self._language
        self._language = self._duties.source_language
        for kind in self._ears.keys() - (ears.keys() if same_language else set()):
            self._loose += self._ears.pop(kind).stop()
        for kind in ears.keys() - self._ears.keys():
            self._ears[kind] = self._new_ear(kind, ears[kind])
        counted = self._duties.counted if self._has(Ability.COUNT) else None
        if counted is not self._counted:  # another sound, or a new start: count from one again
            self._counted = counted
            self._counter = CountTracker(counted) if counted else None
            self._count = 0

    def _new_ear(self, kind: Kind | None, task: Task) -> Ear:
        language = self._language if kind else self._language or "en"
        tracker = SpeechTracker(
            self._next_turn if kind else self._next_unseen_turn,
            task=task,
            language=language,
            watched=kind is not None,
        )
        heard = partial(self._utterance, kind)
        return Ear(kind, tracker, self._parts.whisper, heard, self._ready)

    def _notices(self) -> list[TurnStart]:
        notices, self._duties.notices = self._duties.notices, []
        return [self._state(Kind.NOTICE, notice) for notice in notices]

    # Hearing

    def _hear(self, features: Features) -> list[TurnStart]:
        self._talk.hear(features.tensors["log_mel"])
        speaking = self._speech_goes_on()
        for ear in self._ears.values():
            ear.hear(features)
        goes_on = self._speech_goes_on()
        if self._has(Ability.CHAT):
            self._talk.note_speech(goes_on=goes_on, paused=speaking and not goes_on)
        return self._hear_sounds(features)

    def _hear_sounds(self, features: Features) -> list[TurnStart]:
        index, scores = features.index, features.tensors["sound_scores"]
        alarm = self._alarms.hear(index, scores)
        events = self._events.hear(index, scores)
        if features.last:
            events += self._events.finish()
        starts: list[TurnStart] = []
        if alarm and self._has(Ability.PROACTIVE):
            starts.append(self._state(Kind.ADVICE, alarm.row.advice))
        if self._has(Ability.DESCRIBE):
            starts += [self._state(Kind.DESCRIPTION, _sentence(event.label)) for event in events]
        if self._counter:
            new = self._counter.hear(index, scores, features.tensors["log_mel"])
            starts += [self._state(Kind.COUNT, self._next_number()) for _ in range(new)]
        return starts

    def _next_number(self) -> str:
        self._count += 1
        return _sentence(NUMBERS[self._count] if self._count < len(NUMBERS) else str(self._count))

    def _speech_goes_on(self) -> bool:
        return any(ear.tracker.speaking for ear in self._ears.values())

    def _utterance(self, kind: Kind | None, text: str) -> None:
        """Take a whole utterance: a command, or, where questions are answered, part of one."""
        if kind is Kind.TRANSLATION and Kind.TRANSCRIPT in self._ears:
            return  # what was said is heard in its own words already
        if not self._duties.hear(text) and self._has(Ability.CHAT):
            self._talk.asked.append(text)

    # Speaking

    def _attend(self) -> list[TurnStart]:
        """Let every ear whose passes are due go on before the session listens again."""
        due = [ear for ear in self._ears.values() if ear.tracker.turns]
        self._bursts += due
        return [start for ear in due for start in ear.starts()]

    def _maybe_answer(self, *, at_end: bool) -> list[TurnStart]:
        """Answer a question that is over; at the end of the audio, whatever is left of one."""
        if self._answer or self._speech_goes_on():
            return []
        left = at_end and (bool(self._talk.asked) or any(ear.busy for ear in self._ears.values()))
        if not left and not self._talk.question_is_over():
            return []
        start = self._next_start(Kind.ANSWER)
        self._answer = Answer(start, self._ask, self._answered)
        self._bursts.append(self._answer)
        return [start]

    def _ask(self) -> Reply | None:
        """Start the reply; None while the question's last words are not text yet."""
        if any(ear.busy for ear in self._ears.values()):
            return None
        if not self._talk.asked:  # what sounded like speech at the end was none
            if self._answer:
                self._answer.cancel()
            return None
        messages = self._talk.take_question(self._duties.persona)
        return Reply(self._parts.chat, messages, self._parts.executor, self._ready)

    def _answered(self, text: str) -> None:
        self._answer = None
        if text:
            self._talk.answered(text)

    def _state(self, kind: Kind, text: str) -> TurnStart:
        start = self._next_start(kind)
        self._bursts.append(Statement(start, text))
        return start

    def _next_start(self, kind: Kind) -> TurnStart:
        return TurnStart(self._next_turn(), kind)

    def _next_turn(self) -> int:
        self._turn += 1
        return self._turn

    def _next_unseen_turn(self) -> int:
        self._unseen_turn += 1
        return self._unseen_turn


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
