"""The engine: many sessions around one decoder, each with its queue, listening or speaking.

Source of the queue's rules: arXiv 2606.05121, asynchronous FIFO inference. The encoder's side never
waits; a session that listens drains its whole queue into one decision; a session that speaks does
not touch its queue until its burst of speech is done.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar, TypeVarTuple

from soundflow.decoder import Decoder, Speaking, Spoken, Stepped, Verdict
from soundflow.engine_session import (
    Drained,
    EngineError,
    Heard,
    Mode,
    NotOpen,
    OutOfOrder,
    Queued,
    Session,
)
from soundflow.features import Features
from soundflow.interaction import (
    NOTHING_PAST,
    Action,
    Decision,
    EndReason,
    ModelInfo,
    Overrun,
    Past,
    Piece,
    SessionSpec,
)

StateT = TypeVar("StateT")
ResultT = TypeVar("ResultT")
Args = TypeVarTuple("Args")

log = logging.getLogger(__name__)

QUEUE_CHUNKS = 64  # 25.6 s: longer than any reply should keep a session from listening


class Engine(Generic[StateT]):
    """The only code that steps a decoder; batches over all sessions that have something to do.

    Use it from one event loop, with `run` as a task of it. The decoder's blocking calls run on one
    thread of the engine's own.
    """

    def __init__(self, decoder: Decoder[StateT], *, queue_chunks: int = QUEUE_CHUNKS) -> None:
        self._decoder = decoder
        self._queue_chunks = queue_chunks
        self._sessions: dict[str, Session[StateT]] = {}
        self._by_state: dict[int, Session[StateT]] = {}
        self._work = asyncio.Event()
        self.started = asyncio.Event()  # the decoder is warm
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decoder")

    @property
    def info(self) -> ModelInfo:
        """What the decoder says of itself."""
        return self._decoder.info

    @property
    def counts(self) -> Mapping[str, int]:
        """What the decoder has counted so far, by name."""
        return self._decoder.counts

    async def run(self) -> None:
        """Step until cancelled."""
        loop = asyncio.get_running_loop()

        def ready(state: StateT) -> None:
            loop.call_soon_threadsafe(self._ready, state)

        await self._on_thread(self._decoder.start, ready)
        self.started.set()
        try:
            while True:
                await self._work.wait()
                self._work.clear()
                while await self._step():
                    pass
        finally:
            await self._on_thread(self._decoder.stop)
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def open(self, session_id: str, spec: SessionSpec, past: Past = NOTHING_PAST) -> int:
        """Make a session, and return the chunk that it expects next.

        One that is open already stays as it is; a new one begins at `past.window_start`.
        """
        if session := self._sessions.get(session_id):
            return session.next_index
        opening = self._thread.submit(self._decoder.open, spec, past.turns, past.memory)
        try:
            state = await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            self._thread.submit(self._close_opened, opening)  # nobody else knows of it
            raise
        if session := self._sessions.get(session_id):  # opened meanwhile
            await self._forget(state)
            return session.next_index
        session = Session.rebuilt(session_id, state, past)
        self._sessions[session_id] = session
        self._by_state[id(state)] = session
        return session.next_index

    def hear(self, features: Features) -> asyncio.Future[Heard]:
        """Queue a chunk's features; the future is done once they were drained.

        A repeated chunk changes nothing and gets the decision that covers it, or, when that is
        long ago, the oldest that is kept. NotOpen, OutOfOrder.
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
        session.queue.append(Queued(features, [heard]))
        self._drop_overrun(session)
        self._work.set()
        return heard

    async def speak(self, session_id: str, turn: int) -> AsyncIterator[Piece]:
        """Yield all pieces of a turn, as they are made, until its end. Anyone may follow again."""
        session = self._session(session_id)
        if turn not in session.turns:
            raise EngineError(f"session {session_id!r} has no turn {turn} to speak")
        async for piece in session.turns[turn].follow():
            yield piece

    async def instruct(self, session_id: str, text: str) -> None:
        """Follow `text` from the next chunk on."""
        await self._on_thread(self._decoder.instruct, self._session(session_id).state, text)

    async def cancel(self, session_id: str, turn: int) -> None:
        """End a turn early; one that is over already is no error."""
        session = self._session(session_id)
        if turn not in session.turns or session.turns[turn].over:
            return
        own = session.numbering.decoders(turn)
        if own is None:  # it is still to be found again
            session.numbering.finish(turn)
            session.turns.put(Piece(turn, sequence=0, ended=EndReason.CANCELLED))
            return
        await self._on_thread(self._decoder.cancel, session.state, own)
        self._ready(session.state)

    async def close(self, session_id: str) -> None:
        """Forget a session: its queue is dropped, its open turns end as cancelled."""
        session = self._sessions.pop(session_id, None)
        if session is None:
            return
        self._by_state.pop(id(session.state), None)
        for queued in (*session.in_step.queue, *session.queue):
            queued.fail(NotOpen(f"session {session_id!r} was closed"))
        session.turns.end_all(EndReason.CANCELLED)
        await self._forget(session.state)

    # One step

    async def _step(self) -> bool:
        """Advance every session that can go on; False when there is none."""
        sessions = self._sessions.values()
        hearing = [s for s in sessions if s.mode is Mode.LISTENING and (s.undecided or s.queue)]
        speaking = [s for s in sessions if s.mode is Mode.SPEAKING and not s.waiting]
        if not hearing and not speaking:
            return False
        for session in speaking:
            session.waiting = True  # before the step: `ready` may come while it runs
        stepped = await self._step_decoder(
            [(session.state, session.drain()) for session in hearing],
            [(session.state, session.overheard()) for session in speaking],
        )
        for session, verdict in zip(hearing, stepped.heard, strict=True):
            if verdict is not None:
                self._decide(session, verdict)
        for session, spoken in zip(speaking, stepped.spoken, strict=True):
            self._say(session, spoken)
        return True

    def _decide(self, session: Session[StateT], verdict: Verdict | Exception) -> None:
        if isinstance(verdict, Exception):
            log.error("session %s failed while listening", session.session_id, exc_info=verdict)
            session.turns.end_all(EndReason.ERROR)
            verdict = Verdict(Action.SILENT)
        session.remember(verdict)
        drained, session.in_step = session.in_step, Drained()
        newest = drained.queue[-1].features.index
        turns = session.numbering.name(verdict.turns, newest)
        for start in turns:
            session.turns.open(start.turn)
        if verdict.action is Action.RESPOND or verdict.unsettled:
            session.mode, session.waiting = Mode.SPEAKING, False
        action = Action.RESPOND if turns else Action.SILENT
        decision = Decision(session.session_id, newest, action, turns)
        session.answer(drained, decision)
        session.end_replay()

    def _say(self, session: Session[StateT], step: Spoken | Exception) -> None:
        if isinstance(step, Exception):
            log.error("session %s failed while speaking", session.session_id, exc_info=step)
            session.turns.end_all(EndReason.ERROR)
            step = Spoken((), Speaking.DONE)
        for piece in step.pieces:
            if translated := session.numbering.translate(piece):
                session.turns.put(translated)
        if step.speaking is Speaking.MORE:
            session.waiting = False
        if step.speaking is Speaking.DONE:
            session.mode, session.waiting = Mode.LISTENING, False

    # Small parts

    def _session(self, session_id: str) -> Session[StateT]:
        try:
            return self._sessions[session_id]
        except KeyError:
            raise NotOpen(f"session {session_id!r} is not open in this engine") from None

    def _ready(self, state: StateT) -> None:
        if session := self._by_state.get(id(state)):
            session.waiting = False
            self._work.set()

    def _answer_repeat(
        self, session: Session[StateT], index: int, heard: asyncio.Future[Heard]
    ) -> None:
        for queued in (*session.in_step.queue, *session.queue):
            if queued.answers_for(index):
                queued.waiters.append(heard)
                return
        known = session.answers.find(index)
        if known is None:
            raise OutOfOrder(f"session {session.session_id!r} has no decision on chunk {index}")
        heard.set_result(known)

    def _drop_overrun(self, session: Session[StateT]) -> None:
        while len(session.queue) > self._queue_chunks:
            oldest = session.queue.popleft()
            index = oldest.features.index
            first = session.dropped.first if session.dropped else index
            session.dropped = Overrun(first, index)
            # The next decision answers for it, so who waits for it gets that one.
            session.queue[0].waiters += oldest.waiters
            session.queue[0].dropped += oldest.dropped + 1

    async def _step_decoder(
        self,
        hearing: Sequence[tuple[StateT, Sequence[Features]]],
        speaking: Sequence[tuple[StateT, Sequence[Features]]],
    ) -> Stepped:
        """Step a batch: one result for each; whatever the model does, the loop goes on."""
        try:
            stepped = await self._on_thread(self._decoder.step, hearing, speaking)
            results = len(stepped.heard), len(stepped.spoken)
            if results != (len(hearing), len(speaking)):
                raise EngineError(f"{results} results for {len(hearing)} and {len(speaking)}")
        except Exception as error:
            return Stepped([error] * len(hearing), [error] * len(speaking))
        return stepped

    def _close_opened(self, opening: Future[StateT]) -> None:
        """Close what was opened, if it was; on the decoder's thread."""
        if not opening.cancelled() and not opening.exception():
            self._decoder.close(opening.result())

    def _forget(self, state: StateT) -> asyncio.Future[None]:
        """Let the decoder close a state, also where nobody waits any more until it has."""
        loop = asyncio.get_running_loop()
        return asyncio.shield(loop.run_in_executor(self._thread, self._decoder.close, state))

    async def _on_thread(self, call: Callable[[*Args], ResultT], *args: *Args) -> ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)
