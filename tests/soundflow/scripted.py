"""An engine around a decoder that does what a test tells it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from soundflow.decoder import Speaking, Spoken, Stepped, Verdict
from soundflow.engine import Engine
from soundflow.engine_session import Heard
from soundflow.features import Features
from soundflow.interaction import (
    NOTHING_PAST,
    Ability,
    Action,
    EndReason,
    Kind,
    ModelInfo,
    Past,
    PastTurn,
    Piece,
    SessionSpec,
    TurnStart,
)
from tests.waiting import DEADLINE_S, until

SILENT = Verdict(Action.SILENT)
DONE = Spoken((), Speaking.DONE)
WAITING = Spoken((), Speaking.WAITING)


def respond(*turns: int) -> Verdict:
    return Verdict(Action.RESPOND, tuple(TurnStart(turn, Kind.NOTICE) for turn in turns))


def says(*pieces: Piece, then: Speaking = Speaking.MORE) -> Spoken:
    return Spoken(pieces, then)


def ended(turn: int, reason: EndReason = EndReason.COMPLETE) -> Piece:
    return Piece(turn, sequence=9, ended=reason)


@dataclass(eq=False)
class Script:
    """A session's state: what it decides and says, and what it was asked."""

    name: str
    verdicts: list[Verdict | Exception | None] = field(default_factory=list)
    speech: list[Spoken | Exception] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    memory: str = ""


class ScriptedDecoder:
    """Follows each session's script; `log` holds every call. Steps wait while it is held."""

    def __init__(self) -> None:
        self.info = ModelInfo("scripted", frozenset(Ability))
        self.counts: dict[str, int] = {}
        self.scripts: dict[str, Script] = {}
        self.log: list[tuple[str, object]] = []
        self.raises: Exception | None = None
        self.ready: Callable[[Script], None] = lambda state: None
        self._held = False
        self._allowed = threading.Semaphore(0)

    def hold(self) -> None:
        """From now on each step waits, until `let` allows it."""
        self._held = True

    def let(self, steps: int) -> None:
        self._allowed.release(steps)

    def release(self) -> None:
        self._held = False
        self._allowed.release(1000)

    def batches(self, call: str) -> list[object]:
        return [argument for name, argument in self.log if name == call]

    def start(self, ready: Callable[[Script], None]) -> None:
        self.ready = ready

    def stop(self) -> None:
        self.log.append(("stop", None))

    def open(self, spec: SessionSpec, history: Sequence[PastTurn], memory: str = "") -> Script:
        self.log.append(("open", spec.instruction))
        script = self.scripts[spec.instruction] = Script(spec.instruction, memory=memory)
        script.asked += [past.text for past in history]
        return script

    def step(
        self,
        hearing: Sequence[tuple[Script, Sequence[Features]]],
        speaking: Sequence[tuple[Script, Sequence[Features]]],
    ) -> Stepped:
        if hearing:
            self.log.append(("listen", {s.name: [f.index for f in queue] for s, queue in hearing}))
        if speaking:
            self.log.append(("speak", [state.name for state, _ in speaking]))
            self.log.append(
                ("overhear", {s.name: [f.index for f in queue] for s, queue in speaking})
            )
        if self._held:
            assert self._allowed.acquire(timeout=DEADLINE_S)
        if self.raises:
            raise self.raises
        return Stepped(
            [state.verdicts.pop(0) if state.verdicts else SILENT for state, _ in hearing],
            [state.speech.pop(0) if state.speech else DONE for state, _ in speaking],
        )

    def instruct(self, state: Script, text: str) -> None:
        state.asked.append(text)

    def cancel(self, state: Script, turn: int) -> None:
        self.log.append(("cancel", turn))
        state.speech.insert(0, says(ended(turn, reason=EndReason.CANCELLED), then=Speaking.DONE))

    def close(self, state: Script) -> None:
        self.log.append(("close", state.name))


@dataclass
class Bench:
    """An engine that runs, and short ways to use it. A session is named like its script."""

    decoder: ScriptedDecoder
    engine: Engine[Script]

    async def open(
        self,
        name: str,
        *,
        verdicts: Sequence[Verdict | Exception | None] = (),
        speech: Sequence[Spoken | Exception] = (),
        past: Past = NOTHING_PAST,
    ) -> Script:
        await self.engine.open(name, SessionSpec(instruction=name), past)
        script = self.decoder.scripts[name]
        script.verdicts += verdicts
        script.speech += speech
        return script

    def hear(self, name: str, index: int) -> asyncio.Future[Heard]:
        return self.engine.hear(Features(name, index, {}))

    async def heard(self, name: str, index: int) -> Heard:
        return await asyncio.wait_for(self.hear(name, index), DEADLINE_S)

    async def pieces(self, name: str, turn: int) -> list[Piece]:
        async with asyncio.timeout(DEADLINE_S):
            return [piece async for piece in self.engine.speak(name, turn)]

    async def logged(self, call: str, times: int) -> None:
        """Wait until the decoder was called so often."""
        await until(lambda: len(self.decoder.batches(call)) >= times)

    async def a_step_passes(self) -> None:
        """Wait until every session that can listen or speak has been given the chance."""
        name = f"passer-by {len(self.decoder.scripts)}"
        await self.open(name)
        await self.heard(name, 0)


@asynccontextmanager
async def running(*, queue_chunks: int = 64) -> AsyncIterator[Bench]:
    decoder = ScriptedDecoder()
    engine = Engine(decoder, queue_chunks=queue_chunks)
    task = asyncio.create_task(engine.run())
    try:
        yield Bench(decoder, engine)
    finally:
        decoder.release()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def taken(pieces: AsyncIterator[Piece]) -> list[Piece]:
    return [piece async for piece in pieces]
