"""The engine: many sessions around one decoder, each with its queue, listening or speaking.

Source of the queue's rules: arXiv 2606.05121, asynchronous FIFO inference. The encoder's side never
waits; a session that listens drains its whole queue into one decision; a session that speaks does
not touch its queue until its burst of speech is done.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Generic, TypeVar, TypeVarTuple

from soundflow.decoder import Decoder, Speaking, Spoken, Verdict
from soundflow.features import Features
from soundflow.interaction import (
    Action,
    Decision,
    EndReason,
    ModelInfo,
    Overrun,
    PastTurn,
    Piece,
    SessionSpec,
)

StateT = TypeVar("StateT")
ResultT = TypeVar("ResultT")
Args = TypeVarTuple("Args")

log = logging.getLogger(__name__)

QUEUE_CHUNKS = 64  # 25.6 s: longer than any reply should keep a session from listening


class EngineError(Exception):
    """A call that does not fit the session's state."""


class NotOpen(EngineError):
    """The session was never opened, or is closed."""


class OutOfOrder(EngineError):
    """A chunk came before the one that precedes it."""


class Mode(Enum):
    """What a session is doing."""

    LISTENING = "listening"
    SPEAKING = "speaking"


@dataclass(frozen=True, slots=True)
class Heard:
    """The answer to a chunk: the decision that covers it, and what was dropped before it."""

    decision: Decision
    dropped: Overrun | None = None


@dataclass(slots=True)
class _Queued:
    features: Features
    heard: asyncio.Future[Heard]


@dataclass(slots=True)
class _Turn:
    """A turn's pieces that nobody has taken yet."""

    pieces: deque[Piece] = field(default_factory=deque)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, piece: Piece) -> None:
        """Append a piece; it takes the place of an unread provisional one of its sequence."""
        newest = self.pieces[-1] if self.pieces else None
        if newest and not newest.final and newest.sequence == piece.sequence and not piece.ended:
            self.pieces.pop()
        self.pieces.append(piece)
        self.changed.set()


@dataclass(slots=True)
class _Session(Generic[StateT]):
    session_id: str
    state: StateT
    mode: Mode = Mode.LISTENING
    waiting: bool = False  # speaks, but its next text is not there yet
    next_index: int = 0
    queue: deque[_Queued] = field(default_factory=deque)
    in_step: list[_Queued] = field(default_factory=list)
    dropped: Overrun | None = None
    decision: Decision | None = None
    turns: dict[int, _Turn] = field(default_factory=dict)


class Engine(Generic[StateT]):
    """The only code that steps a decoder; batches over all sessions that have something to do.

    Use it from one event loop, with `run` as a task of it. The decoder's blocking calls run on one
    thread of the engine's own.
    """

    def __init__(self, decoder: Decoder[StateT], *, queue_chunks: int = QUEUE_CHUNKS) -> None:
        self._decoder = decoder
        self._queue_chunks = queue_chunks
        self._sessions: dict[str, _Session[StateT]] = {}
        self._by_state: dict[int, _Session[StateT]] = {}
        self._work = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decoder")

    @property
    def info(self) -> ModelInfo:
        """What the decoder says of itself."""
        return self._decoder.info

    async def run(self) -> None:
        """Step until cancelled."""
        loop = asyncio.get_running_loop()

        def ready(state: StateT) -> None:
            loop.call_soon_threadsafe(self._ready, state)

        await self._on_thread(self._decoder.start, ready)
        try:
            while True:
                await self._work.wait()
                self._work.clear()
                while await self._step():
                    pass
        finally:
            await self._on_thread(self._decoder.stop)
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def open(
        self, session_id: str, spec: SessionSpec, history: Sequence[PastTurn] = ()
    ) -> None:
        """Make a session that has heard nothing; one that is open already stays as it is."""
        if session_id in self._sessions:
            return
        state = await self._on_thread(self._decoder.open, spec, history)
        session = _Session(session_id, state)
        self._sessions[session_id] = session
        self._by_state[id(state)] = session

    def hear(self, features: Features) -> asyncio.Future[Heard]:
        """Queue a chunk's features; the future is done once they were drained.

        A repeated chunk changes nothing and gets the newest decision. NotOpen, OutOfOrder.
        """
        session = self._session(features.session_id)
        heard: asyncio.Future[Heard] = asyncio.get_running_loop().create_future()
        if features.index < session.next_index:
            self._answer_repeat(session, features.index, heard)
            return heard
        if features.index > session.next_index:
            raise OutOfOrder(
                f"session {session.session_id!r} expects chunk {session.next_index}, "
                f"got {features.index}"
            )
        session.next_index += 1
        session.queue.append(_Queued(features, heard))
        self._drop_overrun(session)
        self._work.set()
        return heard

    async def speak(self, session_id: str, turn: int) -> AsyncIterator[Piece]:
        """Yield a turn's pieces as they are made, until its end. One follower a turn."""
        session = self._session(session_id)
        if turn not in session.turns:
            raise EngineError(f"session {session_id!r} has no turn {turn} to speak")
        stream = session.turns[turn]
        while True:
            while not stream.pieces:
                stream.changed.clear()
                await stream.changed.wait()
            piece = stream.pieces.popleft()
            yield piece
            if piece.ended:
                session.turns.pop(turn, None)
                return

    async def instruct(self, session_id: str, text: str) -> None:
        """Follow `text` from the next chunk on."""
        await self._on_thread(self._decoder.instruct, self._session(session_id).state, text)

    async def cancel(self, session_id: str, turn: int) -> None:
        """End a turn early; one that is over already is no error."""
        session = self._session(session_id)
        if turn not in session.turns:
            return
        await self._on_thread(self._decoder.cancel, session.state, turn)
        self._ready(session.state)

    async def close(self, session_id: str) -> None:
        """Forget a session: its queue is dropped, its open turns end as cancelled."""
        session = self._sessions.pop(session_id, None)
        if session is None:
            return
        self._by_state.pop(id(session.state), None)
        for queued in (*session.in_step, *session.queue):
            queued.heard.set_exception(NotOpen(f"session {session_id!r} was closed"))
        self._end_turns(session, EndReason.CANCELLED)
        await self._on_thread(self._decoder.close, session.state)

    # One step

    async def _step(self) -> bool:
        """Advance every session that can go on; False when there is none."""
        hearing = [s for s in self._sessions.values() if s.mode is Mode.LISTENING and s.queue]
        speaking = [s for s in self._sessions.values() if s.mode is Mode.SPEAKING]
        speaking = [s for s in speaking if not s.waiting]
        if hearing:
            await self._listen(hearing)
        if speaking:
            await self._speak(speaking)
        return bool(hearing or speaking)

    async def _listen(self, sessions: list[_Session[StateT]]) -> None:
        for session in sessions:
            session.in_step = list(session.queue)
            session.queue.clear()
        batch = [(s.state, [queued.features for queued in s.in_step]) for s in sessions]
        verdicts: Sequence[Verdict | Exception]
        try:
            verdicts = await self._on_thread(self._decoder.listen, batch)
        except Exception as error:  # whatever the model did, the loop goes on
            verdicts = [error] * len(sessions)
        for session, verdict in zip(sessions, verdicts, strict=True):
            self._decide(session, verdict)

    def _decide(self, session: _Session[StateT], verdict: Verdict | Exception) -> None:
        if isinstance(verdict, Exception):
            log.error("session %s failed while listening", session.session_id, exc_info=verdict)
            self._end_turns(session, EndReason.ERROR)
            verdict = Verdict(Action.SILENT)
        drained, session.in_step = session.in_step, []
        newest = drained[-1].features.index
        decision = Decision(session.session_id, newest, verdict.action, verdict.turns)
        for start in verdict.turns:
            session.turns.setdefault(start.turn, _Turn())
        if verdict.action is Action.RESPOND:
            session.mode, session.waiting = Mode.SPEAKING, False
        session.decision = decision
        heard = Heard(decision, session.dropped)
        session.dropped = None
        for queued in drained:
            if not queued.heard.done():
                queued.heard.set_result(heard)

    async def _speak(self, sessions: list[_Session[StateT]]) -> None:
        for session in sessions:
            session.waiting = True  # before the step: `ready` may come while it runs
        spoken: Sequence[Spoken | Exception]
        try:
            spoken = await self._on_thread(self._decoder.speak, [s.state for s in sessions])
        except Exception as error:  # as above
            spoken = [error] * len(sessions)
        for session, step in zip(sessions, spoken, strict=True):
            self._say(session, step)

    def _say(self, session: _Session[StateT], step: Spoken | Exception) -> None:
        if isinstance(step, Exception):
            log.error("session %s failed while speaking", session.session_id, exc_info=step)
            self._end_turns(session, EndReason.ERROR)
            step = Spoken((), Speaking.DONE)
        for piece in step.pieces:
            if piece.turn in session.turns:
                session.turns[piece.turn].put(piece)
        if step.speaking is Speaking.MORE:
            session.waiting = False
        if step.speaking is Speaking.DONE:
            session.mode, session.waiting = Mode.LISTENING, False

    # Small parts

    def _session(self, session_id: str) -> _Session[StateT]:
        try:
            return self._sessions[session_id]
        except KeyError:
            raise NotOpen(f"session {session_id!r} is not open in this engine") from None

    def _ready(self, state: StateT) -> None:
        if session := self._by_state.get(id(state)):
            session.waiting = False
            self._work.set()

    def _answer_repeat(
        self, session: _Session[StateT], index: int, heard: asyncio.Future[Heard]
    ) -> None:
        for queued in (*session.in_step, *session.queue):
            if queued.features.index == index:
                queued.heard.add_done_callback(partial(_copy_result, other=heard))
                return
        if session.decision is None:
            raise OutOfOrder(f"session {session.session_id!r} has no decision on chunk {index}")
        heard.set_result(Heard(session.decision))

    def _drop_overrun(self, session: _Session[StateT]) -> None:
        while len(session.queue) > self._queue_chunks:
            oldest = session.queue.popleft()
            index = oldest.features.index
            first = session.dropped.first if session.dropped else index
            session.dropped = Overrun(first, index)
            # The next decision answers for it, so its waiter gets that one.
            next_heard = session.queue[0].heard
            next_heard.add_done_callback(partial(_copy_result, other=oldest.heard))

    def _end_turns(self, session: _Session[StateT], reason: EndReason) -> None:
        for turn, stream in session.turns.items():
            stream.put(Piece(turn, sequence=0, ended=reason))

    async def _on_thread(self, call: Callable[[*Args], ResultT], *args: *Args) -> ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)


def _copy_result(done: asyncio.Future[Heard], other: asyncio.Future[Heard]) -> None:
    if error := done.exception():
        other.set_exception(error)
    else:
        other.set_result(done.result())
