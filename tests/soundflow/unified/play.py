"""Plays the engine's part for the unified decoder, a step at a time, and notes all that comes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from soundflow.decoder import Speaking, Spoken, Verdict
from soundflow.features import Features
from soundflow.interaction import Action, PastTurn, SessionSpec
from soundflow.unified.decoder import UnifiedDecoder
from soundflow.unified.pages import PagedCache
from soundflow.unified.session import UnifiedSession
from soundflow.unified.settings import UnifiedSettings
from soundflow.unified.transformer import LanguageModel
from tests.soundflow.unified.hashed_model import HashedModel, control_tokens, text_tokens

# Small, so that a window is full soon.
SMALL = UnifiedSettings(
    window_chunks=8,
    kept_chunks=5,
    span_chunks=20,
    positions=320,
    system_tokens=40,
    past_tokens=48,
    reply_tokens=24,
    piece_tokens=3,
    peek_from_tokens=4,
    long_positions=64,
)


def chunk(name: str, index: int, width: int = 4) -> Features:
    """Return features that no other session and no other chunk has."""
    chance = np.random.default_rng([*name.encode(), index])
    frames = chance.normal(size=(10, width)).astype(np.float32)
    return Features(name, index, {"frames": frames})


def make_decoder(
    lm: LanguageModel,
    settings: UnifiedSettings = SMALL,
    *,
    sessions: int = 8,
    page_positions: int = 16,
) -> tuple[UnifiedDecoder, PagedCache]:
    pages = sessions * -(-settings.positions // page_positions)
    cache = PagedCache(lm.config, pages, page_positions)
    return UnifiedDecoder(lm, cache, control_tokens(), text_tokens(), settings), cache


def play_of(lm: HashedModel, settings: UnifiedSettings = SMALL, *, sessions: int = 8) -> "Play":
    return Play(make_decoder(lm.cast(), settings, sessions=sessions)[0])


Call = tuple[str, Any]  # hear and speak with chunks, instruct with a text, cancel with a turn


@dataclass(eq=False)
class Played:
    """One session as the engine keeps it.

    calls: what it was given; told: what came of it; decided: how many there were of both by each
    of its verdicts.
    """

    name: str
    state: UnifiedSession
    queue: list[Features] = field(default_factory=list)
    speaks: bool = False
    undecided: list[Features] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    told: list[object] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    decided: list[tuple[int, int]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    @property
    def busy(self) -> bool:
        return bool(self.speaks or self.undecided or self.queue)


@dataclass
class Play:
    """Sessions around one decoder. `step` is the engine's, without its threads."""

    decoder: UnifiedDecoder
    sessions: dict[str, Played] = field(default_factory=dict)

    def open(
        self,
        name: str,
        spec: SessionSpec | None = None,
        history: Sequence[PastTurn] = (),
        memory: str = "",
    ) -> Played:
        state = self.decoder.open(spec or SessionSpec(f"this is {name}"), history, memory)
        self.sessions[name] = Played(name, state)
        return self.sessions[name]

    def instruct(self, name: str, text: str) -> None:
        self.decoder.instruct(self.sessions[name].state, text)
        self.sessions[name].calls.append(("instruct", text))

    def cancel(self, name: str, turn: int) -> None:
        self.decoder.cancel(self.sessions[name].state, turn)
        self.sessions[name].calls.append(("cancel", turn))

    def close(self, name: str) -> None:
        self.decoder.close(self.sessions.pop(name).state)

    def step(self, only: Iterable[str] | None = None) -> None:
        chosen = [s for name, s in self.sessions.items() if only is None or name in set(only)]
        hearing = [s for s in chosen if not s.speaks and (s.undecided or s.queue)]
        speaking = [s for s in chosen if s.speaks]
        stepped = self.decoder.step(
            [(s.state, drained(s)) for s in hearing], [(s.state, overheard(s)) for s in speaking]
        )
        for session, verdict in zip(hearing, stepped.heard, strict=True):
            decide(session, verdict)
        for session, spoken in zip(speaking, stepped.spoken, strict=True):
            say(session, spoken)

    def run(self, name: str, queue: Sequence[Features] = ()) -> Played:
        """Let one session hear a queue as one drain, and say all it has to."""
        session = self.sessions[name]
        session.queue += queue
        while session.busy:
            self.step([name])
        return session


def drained(session: Played) -> list[Features]:
    if session.undecided:
        return []
    session.undecided, session.queue = session.queue, []
    session.calls.append(("hear", tuple(session.undecided)))
    return session.undecided


def overheard(session: Played) -> list[Features]:
    session.calls.append(("speak", tuple(session.queue)))
    return list(session.queue)


def decide(session: Played, verdict: Verdict | Exception | None) -> None:
    if verdict is None:
        return
    newest, session.undecided = session.undecided[-1].index, []
    if isinstance(verdict, Exception):
        session.errors.append(verdict)
        session.told.append((newest, type(verdict)))
        return
    session.verdicts.append(verdict)
    session.decided.append((len(session.calls), len(session.told)))
    session.told.append((newest, verdict.action, verdict.turns))
    session.speaks = verdict.action is Action.RESPOND or verdict.unsettled


def say(session: Played, spoken: Spoken | Exception) -> None:
    if isinstance(spoken, Exception):
        session.errors.append(spoken)
        session.told.append(type(spoken))
        session.speaks = False
        return
    session.told += spoken.pieces
    session.speaks = spoken.speaking is not Speaking.DONE


def replayed_alone(decoder: UnifiedDecoder, original: Played, spec: SessionSpec) -> Played:
    """Give another decoder's only session the same calls."""
    alone = Played(original.name, decoder.open(spec, ()))
    go_on(decoder, alone, original.calls)
    return alone


def go_on(decoder: UnifiedDecoder, session: Played, calls: Iterable[Call]) -> None:
    """Give a session calls that another was given."""
    for call, what in calls:
        match call:
            case "hear":
                while session.speaks:  # it is still laying out its sequence, which others did not
                    say(session, decoder.step((), [(session.state, ())]).spoken[0])
                hear(decoder, session, what)
            case "speak" if session.speaks:  # it may need fewer steps where nobody else has work
                say(session, decoder.step((), [(session.state, what)]).spoken[0])
            case "instruct":
                decoder.instruct(session.state, what)
            case "cancel":
                decoder.cancel(session.state, what)


def hear(decoder: UnifiedDecoder, session: Played, queue: Sequence[Features]) -> None:
    """Let a session that listens decide on a drained queue."""
    session.undecided = list(queue)
    while session.undecided:
        decide(session, decoder.step([(session.state, queue)], ()).heard[0])
        queue = ()
