"""One session of the cascade: what it hears, what it has to say, and by which rules."""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

from soundflow.cascade.answers import Answer, Reply
from soundflow.cascade.chat import ChatModel, Message, Role
from soundflow.cascade.conversation import Conversation
from soundflow.cascade.duties import Duties
from soundflow.cascade.ears import Ear
from soundflow.cascade.memory import Memory, Rest, Wish, run_in_chunks
from soundflow.cascade.soundscape import Soundscape
from soundflow.cascade.speech import SpeechTracker
from soundflow.cascade.turn_end import TurnEnd
from soundflow.cascade.turns import Statement
from soundflow.cascade.whisper import WhisperRuntime
from soundflow.cascade.whisper_model import Task
from soundflow.decoder import Speaking, Spoken, Verdict
from soundflow.features import Features
from soundflow.interaction import Ability, Action, Kind, PastTurn, Piece, SessionSpec, TurnStart


@dataclass(frozen=True, slots=True)
class Parts:
    """What all sessions share.

    chat: returns the chat model, loading it when it is first wanted.
    replies, scores: what makes them, of questions and of turn ends; both block.
    """

    whisper: WhisperRuntime
    chat: Callable[[], ChatModel]
    turn_end: TurnEnd
    replies: Executor
    scores: Executor


class CascadeSession:
    """Listens and speaks by rules; `soundflow.decoder.Decoder` says what the calls mean."""

    def __init__(
        self,
        spec: SessionSpec,
        history: Sequence[PastTurn],
        parts: Parts,
        ready: Callable[["CascadeSession"], None],
        memory: str = "",
    ) -> None:
        """Begin, or with the `memory` of a verdict go on from its `window_start`."""
        self._parts = parts
        self._ready = lambda: ready(self)
        self._duties = Duties.of(spec)
        self._turn = max((past.turn for past in history), default=0)
        self._unseen_turn = 0
        self._sounds = Soundscape()
        self._ears: dict[Kind | None, Ear] = {}
        self._language = self._duties.source_language  # that the ears listen for
        said = [Message(Role.ASSISTANT, past.text) for past in history if past.kind is Kind.ANSWER]
        self._talk = Conversation(parts.turn_end, parts.scores, self._ready, said)
        self._bursts: list[Statement | Answer | Ear] = []
        self._answer: Answer | None = None
        self._loose: list[Piece] = []
        self._next_index = 0
        self._joining: list[Features] = []  # heard again, to be decided on with what comes next
        self._memory = Memory.read(memory)
        self._wishes_to_come = list(self._memory.wishes)
        if self._memory.rest:
            self._recall(self._memory.rest)

    def listen(self, queue: Sequence[Features]) -> Verdict:
        """Hear all that is queued, then decide."""
        due = self._due(queue)
        if not due:
            return Verdict(Action.SILENT)
        self._follow_wishes(due[0].index)
        self._maybe_rest(due[0].index)
        self._memory.join(due)
        verdict = self._decide(due)
        return dataclasses.replace(
            verdict, window_start=self._memory.window_start, memory=self._memory.written()
        )

    def _decide(self, queue: Sequence[Features]) -> Verdict:
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
        self._memory.wishes.append(Wish(self._next_index, instruct=text))
        self._duties.instruct(text)

    def cancel(self, turn: int) -> None:
        """Give up a turn."""
        for burst in self._bursts:
            if not isinstance(burst, Ear) and burst.start.turn == turn:
                burst.cancel()
        for kind, ear in self._ears.items():
            speaking = ear.tracker.speaking
            self._loose += ear.cancel(turn)
            if speaking and not ear.tracker.speaking:  # what goes on is a new turn, also later
                self._memory.wishes.append(Wish(self._next_index, cancel=kind))

    def close(self) -> None:
        """Stop what is being made for this session."""
        for ear in self._ears.values():
            ear.close()
        if self._answer:
            self._answer.cancel()

    # Memory

    def _due(self, queue: Sequence[Features]) -> Sequence[Features]:
        """Return what is decided on now; in a rebuilt session that may be nothing yet."""
        for features in queue:
            self._next_index = features.index + 1
            if not self._memory.is_run_in(features.index):
                self._joining.append(features)
                continue
            self._talk.hear(features.tensors["log_mel"])
            for ear in self._ears.values():
                ear.tracker.run_in(features)
        if not self._joining or self._joining[-1].index in self._memory.joined:
            return ()
        due, self._joining = self._joining, []
        return due

    def _follow_wishes(self, index: int) -> None:
        """Do again what was asked of the lost session before it heard a chunk."""
        while self._wishes_to_come and self._wishes_to_come[0].index <= index:
            wish = self._wishes_to_come.pop(0)
            if wish.instruct:
                self._duties.instruct(wish.instruct)
            if wish.cancel and wish.cancel in self._ears:
                self._loose += self._ears[wish.cancel].give_up()

    def _maybe_rest(self, index: int) -> None:
        """Write down the state before a chunk, if nothing is going on."""
        ears_busy = any(ear.busy for ear in self._ears.values())
        if ears_busy or self._bursts or self._loose or self._talk.unsettled:
            return
        rest = Rest(
            index,
            run_in_chunks(self._duties),
            copy.deepcopy(self._duties),
            self._language,
            self._sounds.remembered(),
            {kind or "unseen": ear.tracker.remembered() for kind, ear in self._ears.items()},
            self._talk.remembered(),
        )
        self._memory.take_rest(rest)

    def _recall(self, rest: Rest) -> None:
        self._duties = copy.deepcopy(rest.duties)
        self._language = rest.language
        self._sounds.recall(rest.sounds)
        self._talk.recall(rest.talk)
        for kind, hearing in rest.ears.items():
            seen = None if kind == "unseen" else kind
            self._ears[seen] = self._new_ear(seen)
            self._ears[seen].tracker.recall(hearing)

    # Duties

    def _has(self, ability: Ability) -> bool:
        return self._duties.has(ability)

    def _follow_duties(self) -> None:
        """Take up and leave what the instructions of the meantime ask for."""
        kinds: set[Kind | None] = set()
        if self._has(Ability.TRANSCRIBE):
            kinds.add(Kind.TRANSCRIPT)
        if self._has(Ability.TRANSLATE):
            kinds.add(Kind.TRANSLATION)
        if not kinds:  # questions and spoken commands are heard where nobody asked for text
            kinds.add(None)
        same_language = self._duties.source_language == self._language
        self._language = self._duties.source_language
        for kind in self._ears.keys() - (kinds if same_language else set()):
            self._loose += self._ears.pop(kind).stop()
        for kind in kinds - self._ears.keys():
            self._ears[kind] = self._new_ear(kind)
        self._sounds.count(self._duties.counted if self._has(Ability.COUNT) else None)

    def _new_ear(self, kind: Kind | None) -> Ear:
        language = self._language if kind else self._language or "en"
        tracker = SpeechTracker(
            self._next_turn if kind else self._next_unseen_turn,
            task=Task.TRANSLATE if kind is Kind.TRANSLATION else Task.TRANSCRIBE,
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
        said = self._sounds.hear(features, self._duties)
        return [self._state(kind, text) for kind, text in said]

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
        return Reply(self._parts.chat, messages, self._parts.replies, self._ready)

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
