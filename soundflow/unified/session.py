"""One session of the unified model: a state machine between what is fed and what comes of it.

It computes nothing: in each step it says what is to be fed, and is told which token follows.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from soundflow.decoder import Speaking, Spoken, Verdict
from soundflow.features import Features
from soundflow.interaction import Action, EndReason, PastTurn, SessionSpec, TurnStart
from soundflow.unified.instructions import Instructions
from soundflow.unified.layout import Layout
from soundflow.unified.memory import Memory, packed, runs_of
from soundflow.unified.pages import Lane
from soundflow.unified.prompts import INTERRUPTIBLE, kind_of, system_text
from soundflow.unified.recall import Due, Recall, frames_of
from soundflow.unified.sampling import Sampler
from soundflow.unified.settings import UnifiedSettings
from soundflow.unified.tokens import ControlTokens, TextTokens
from soundflow.unified.turn import Turn
from soundflow.unified.window import Entry, Frames, Ids, Segment, Window, text_segments


@dataclass(slots=True)
class Counts:
    """What has happened in all sessions since the decoder was made."""

    unexpected_token: int = 0
    interruption: int = 0
    layout: int = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """What all sessions share. width: of one frame."""

    control: ControlTokens
    text_tokens: TextTokens
    settings: UnifiedSettings
    width: int
    counts: Counts = field(default_factory=Counts)


class Phase(Enum):
    """What the pending positions are for."""

    IDLE = "idle"  # nothing is pending
    HEARING = "hearing"  # a drained queue, which a control token will follow
    OPENING = "opening"  # TEXT_BEGIN, which an emotion or the first text will follow
    SPEAKING = "speaking"  # the turn's newest token
    PEEKING = "peeking"  # the turn as if it ended here, and the newest chunks
    REFRESHING = "refreshing"  # the sequence laid out anew, before there is a next chunk


class UnifiedSession:
    """Listens and speaks; `soundflow.decoder.Decoder` says what the calls mean.

    pending: what is to be fed, in order, some of it in each step. When all is, `decide` or `say`
    is told the token that follows.
    """

    def __init__(
        self, spec: SessionSpec, history: Sequence[PastTurn], memory: str, lane: Lane, parts: Parts
    ) -> None:
        """Begin, or with the `memory` of a verdict go on from its `window_start`."""
        self.lane = lane
        self.pending: deque[Segment] = deque()
        self._control, self._settings = parts.control, parts.settings
        self._text_tokens, self._counts = parts.text_tokens, parts.counts
        self._kind = kind_of(spec.abilities)
        self._newest_turn = max((past.turn for past in history), default=0)
        known = Memory.read(memory)
        encode, most_tokens = parts.text_tokens.encode, parts.settings.system_tokens
        system = known.system if known else system_text(spec)
        self._instructions = Instructions(system, encode, most_tokens)
        if known:
            self._instructions.typed += known.typed
            self._instructions.next_typed += known.next_typed
        self._window = Window(parts.control, parts.settings, parts.width, self._prefix())
        self._recall = Recall(self._window)
        if memory:
            self._recall.restore(known, history, encode)
        self._sampler = Sampler(parts.settings.sampling, known.drawn if known else 0)
        self._drawn = self._sampler.drawn  # before the newest decision's turn, if any
        self._phase = Phase.IDLE
        self._turn: Turn | None = None
        self._newest = self._recall.newest  # chunk decided on
        self._respond = False  # the decision is known already
        self._stale = True  # the lane does not hold the window
        self._owed: Ids = ()  # of the window, the last tokens, which the lane does not hold
        self._layout = Layout(lane)
        self._peeked, self._peeked_from = -1, 0

    # Listening

    def hear(self, queue: Sequence[Features]) -> Verdict | None:
        """Begin with a drained queue; None where that takes feeding. ValueError: nothing begun."""
        due = self._recall.take(queue)
        if due is None:
            return Verdict(Action.SILENT)
        self._drain(due)
        return None

    def decide(self, token: int) -> Verdict | None:
        """Take what follows the pending positions; None where there is more to feed."""
        if self._phase is Phase.OPENING:
            return self._open(token)
        self._drawn, self._newest = self._sampler.drawn, self._entry.last
        if self._respond or token == self._control.text_begin:
            self._phase = Phase.OPENING
            self.pending.append(Segment((self._control.text_begin,)))
            return None
        self._counts.unexpected_token += token != self._control.silence
        self._entry.answer = self._owed = (self._control.silence,)
        unsettled = self._refresh()
        return self._verdict(Action.SILENT, unsettled=unsettled)

    # Speaking

    def speak(self, queue: Sequence[Features]) -> Spoken | None:
        """Begin a step, in sight of what waits; None where that takes feeding."""
        turn = self._turn
        if turn is None:
            return None if self.pending else self._rest()
        if turn.cancelled or turn.over:
            return self._end(turn, EndReason.CANCELLED if turn.cancelled else EndReason.COMPLETE)
        if frames := self._overheard(turn, queue):
            self._phase, self._peeked_from = Phase.PEEKING, self.lane.length
            self.pending.append(Segment((turn.tokens[-1], self._control.text_end)))
            self.pending.extend(self._window.block_segments(frames))
        else:
            self.pending.append(Segment((turn.tokens[-1],)))
        return None

    def say(self, token: int) -> Spoken:
        """Take what follows the pending positions."""
        turn = self._turn
        if turn is None:
            return self._rest()
        if self._phase is Phase.PEEKING:
            return self._peek(turn, token)
        self._add(turn, token)
        if turn.over:
            return self._end(turn, EndReason.COMPLETE)
        return Spoken(turn.pieces(), Speaking.MORE)

    # What may come at any time

    @property
    def sampler(self) -> Sampler | None:
        """What the next token is drawn by; None = it is a control token."""
        return self._sampler if self._phase in (Phase.OPENING, Phase.SPEAKING) else None

    def instruct(self, text: str) -> None:
        """Follow a typed instruction from the next chunk on."""
        self._instructions.add(text)

    def cancel(self, turn: int) -> None:
        """Give up a turn."""
        if self._turn and self._turn.start.turn == turn:
            self._turn.cancelled = True

    def fail(self) -> None:
        """Forget the step that failed: a queue is as if never heard, a turn ends with its text."""
        if self._phase is Phase.IDLE:
            return
        if self._turn:
            self._entry.answer = self._turn.answer
        elif self._phase is not Phase.REFRESHING:
            self._window.entries.pop()
        self.pending.clear()
        self._turn, self._phase, self._stale = None, Phase.IDLE, True
        self._layout.text = ()

    def close(self) -> None:
        """Give back what it holds."""
        self.pending.clear()
        self.lane.release()

    # Parts of listening

    @property
    def _entry(self) -> Entry:
        return self._window.entries[-1]

    def _prefix(self) -> Ids:
        return self._control.prefix_ids(self._instructions.ids())

    def _drain(self, due: Due) -> None:
        """Let chunks be fed, of very many the newest, behind what the lane holds, or all anew."""
        entry, self._respond = due.entry, due.respond
        if not due.respond and self._instructions.take_up():
            self._window.prefix, self._stale = self._prefix(), True
        entry.keep_newest(self._settings.window_chunks)
        unchanged = 0
        if not self._window.has_room(entry.blocks):
            unchanged = self._make_room(entry.blocks)
        if self._stale:
            self._lay_out(unchanged)
        else:
            self.pending.extend(text_segments(self._owed))
        self.pending.extend(self._window.block_segments(entry.frames))
        self._window.entries.append(entry)
        self._phase = Phase.HEARING

    def _make_room(self, chunks: int) -> int:
        self._counts.layout += 1
        self._stale = True
        return self._window.make_room(chunks)

    def _lay_out(self, unchanged: int) -> None:
        self.pending, self._stale = self._layout.lay_out(self._window, unchanged), False

    def _refresh(self) -> bool:
        """Lay the sequence out anew if no other chunk fits; return whether that is to be fed."""
        self._phase = Phase.IDLE
        if self._window.has_room(1):
            return False
        self._lay_out(self._make_room(1))
        last = self.pending.pop().ids
        self._owed = last[-1:]
        self.pending.extend(text_segments(last[:-1]))
        self._phase = Phase.REFRESHING
        return True

    def _verdict(
        self, action: Action, turns: tuple[TurnStart, ...] = (), *, unsettled: bool = False
    ) -> Verdict:
        entries = self._window.entries
        memory = Memory(
            self._newest,
            self._instructions.system,
            tuple(self._instructions.typed),
            tuple(self._instructions.next_typed),
            tuple(map(packed, self._window.past)),
            runs_of(entries, self._control.silence),
            self._drawn,
        )
        start = entries[0].first if entries else self._newest + 1
        return Verdict(action, turns, unsettled, start, memory.written())

    # Parts of speaking

    def _open(self, token: int) -> Verdict:
        self._newest_turn += 1
        emotion = self._control.emotions.get(token, "")
        start = TurnStart(self._newest_turn, self._kind, emotion)
        known = self._recall.texts.pop(self._newest, None)
        stream = self._text_tokens.stream()
        self._turn = Turn(start, self._control, self._settings, stream, known)
        self._add(self._turn, token)
        self._phase = Phase.SPEAKING
        return self._verdict(Action.RESPOND, (start,))

    def _add(self, turn: Turn, token: int) -> None:
        self._counts.unexpected_token += turn.is_odd(token)
        turn.add(token)

    def _overheard(self, turn: Turn, queue: Sequence[Features]) -> list[Frames]:
        """Return the chunks that are worth interrupting a turn for a moment."""
        most = self._settings.peek_chunks
        if not most or not queue or queue[-1].index <= self._peeked or turn.known is not None:
            return []
        early = len(turn.tokens) < self._settings.peek_from_tokens
        if early or turn.start.kind not in INTERRUPTIBLE:
            return []
        self._peeked = queue[-1].index
        try:
            return [frames_of(features, self._window.width) for features in queue[-most:]]
        except (KeyError, ValueError):  # hearing them will tell
            return []

    def _peek(self, turn: Turn, token: int) -> Spoken:
        self.lane.truncate(self._peeked_from)
        self._phase = Phase.SPEAKING
        if token != self._control.text_begin:
            return Spoken((), Speaking.MORE)
        self._counts.interruption += 1
        return self._end(turn, EndReason.INTERRUPTED)

    def _end(self, turn: Turn, reason: EndReason) -> Spoken:
        """End a turn here: what was said stays, with its TEXT_END."""
        pieces = turn.end(reason)
        self._turn, self._entry.answer = None, turn.answer
        missing = self._window.positions - self.lane.length
        self._owed = turn.answer[-missing:]
        return Spoken(pieces, Speaking.MORE if self._refresh() else Speaking.DONE)

    def _rest(self) -> Spoken:
        self._phase = Phase.IDLE
        return Spoken((), Speaking.DONE)
