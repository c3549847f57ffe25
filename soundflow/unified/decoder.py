"""The unified model behind the decoder's interface: all sessions' work in one forward a step.

Shape suffixes: N positions, F frames, D width, B sessions, V vocabulary.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from soundflow.decoder import DecoderFull, Speaking, Spoken, Stepped, Verdict
from soundflow.features import Features
from soundflow.interaction import Ability, ModelInfo, PastTurn, SessionSpec
from soundflow.unified.pages import PagedCache
from soundflow.unified.sampling import choose
from soundflow.unified.session import Counts, Parts, UnifiedSession
from soundflow.unified.settings import SHORT_POSITIONS, UnifiedSettings
from soundflow.unified.tokens import ControlTokens, TextTokens
from soundflow.unified.transformer import LanguageModel
from soundflow.unified.window import Segment

log = logging.getLogger(__name__)

OutcomeT = TypeVar("OutcomeT", Verdict, Spoken)
Queues = Sequence[tuple[UnifiedSession, Sequence[Features]]]

MORE = Spoken((), Speaking.MORE)


@dataclass(frozen=True, slots=True)
class Feed:
    """What a step feeds of one session. whole: nothing of it is left for the next step."""

    session: UnifiedSession
    segments: list[Segment]
    positions: int
    whole: bool


class UnifiedDecoder:
    """Implement `soundflow.decoder.Decoder[UnifiedSession]`.

    Each step takes a part of every session's work, so that none waits for another: what is usual
    at once, and of what is longer no more than the settings allow for all of that together.
    """

    def __init__(
        self,
        lm: LanguageModel,
        cache: PagedCache,
        control: ControlTokens,
        text_tokens: TextTokens,
        settings: UnifiedSettings | None = None,
        name: str = "unified",
    ) -> None:
        """Take a cache that is this decoder's alone. ValueError when no session fits into it."""
        settings = settings or UnifiedSettings()
        if settings.positions > lm.config.max_positions:
            raise ValueError(
                f"{settings.positions=} are more than the model's {lm.config.max_positions}"
            )
        self.capacity = cache.pages // cache.pages_for(settings.positions)
        self.info = ModelInfo(name, frozenset(Ability), capacity=self.capacity)
        if not self.capacity:
            raise ValueError(f"{cache.pages=} hold no session of {settings.positions=}")
        self._lm, self._cache, self._settings = lm, cache, settings
        self._parts = Parts(control, text_tokens, settings, lm.config.width, Counts())
        self._pads_F = np.flatnonzero(np.array(control.block) == control.pad)
        self._open = 0

    @property
    def counts(self) -> Mapping[str, int]:
        """What has happened so far, by name."""
        return asdict(self._parts.counts)

    def start(self, ready: Callable[[UnifiedSession], None]) -> None:
        """Take one step, so that the first session does not wait for what is made lazily.

        Nobody is ever waited for, so `ready` is not needed.
        """
        lane = self._cache.lane()
        self._lm.extend([(lane, self._lm.embed(self._parts.control.block))])
        lane.release()

    def stop(self) -> None:
        """Nothing runs between steps; memory goes with this object."""

    def open(
        self, spec: SessionSpec, history: Sequence[PastTurn], memory: str = ""
    ) -> UnifiedSession:
        """Make a session, whose whole sequence has a place in the cache from now on. DecoderFull.

        So one that runs never lacks pages, whatever others do.
        """
        if self._open >= self.capacity:
            raise DecoderFull(f"all {self.capacity} sessions that fit into the cache are taken")
        session = UnifiedSession(spec, history, memory, self._cache.lane(), self._parts)
        self._open += 1
        return session

    def step(self, hearing: Queues, speaking: Queues) -> Stepped:
        """Go on with all sessions in one forward."""
        heard = [_begun(session, session.hear, queue) for session, queue in hearing]
        spoken = [_begun(session, session.speak, queue) for session, queue in speaking]
        listeners = [s for (s, _), known in zip(hearing, heard, strict=True) if known is None]
        speakers = [s for (s, _), known in zip(speaking, spoken, strict=True) if known is None]
        tokens = self._feed([*listeners, *speakers])
        decided = iter([_followed(s, s.decide, tokens[id(s)]) for s in listeners])
        said = iter([_followed(s, s.say, tokens[id(s)]) or MORE for s in speakers])
        return Stepped(
            [next(decided) if known is None else known for known in heard],
            [next(said) if known is None else known for known in spoken],
        )

    def instruct(self, state: UnifiedSession, text: str) -> None:
        """Follow a typed instruction from the next chunk on."""
        state.instruct(text)

    def cancel(self, state: UnifiedSession, turn: int) -> None:
        """Give up a turn."""
        state.cancel(turn)

    def close(self, state: UnifiedSession) -> None:
        """Forget a session; what it held is free."""
        state.close()
        self._open -= 1

    # One forward

    def _feed(self, sessions: Sequence[UnifiedSession]) -> dict[int, int | Exception | None]:
        """Feed a part of what is pending; return by session what follows, None where more is."""
        if not sessions:
            return {}
        feeds = take_turns(sessions, self._settings.long_positions)
        tokens = self._forward(feeds)
        return {
            id(feed.session): token if feed.whole or isinstance(token, Exception) else None
            for feed, token in zip(feeds, tokens, strict=True)
        }

    def _forward(self, feeds: Sequence[Feed]) -> Sequence[int | Exception]:
        """Return the token that follows each; what fails with one fails with it alone."""
        try:
            return self._tokens(feeds)
        except Exception as error:
            if len(feeds) == 1:
                return [error]
            log.exception("a step of %d sessions failed; each goes on alone", len(feeds))
        return [token for feed in feeds for token in self._forward([feed])]

    @torch.inference_mode()
    def _tokens(self, feeds: Sequence[Feed]) -> list[int | Exception]:
        embedded_ND = self._embed(feeds)
        parts = torch.split(embedded_ND, [feed.positions for feed in feeds])
        lanes = [feed.session.lane for feed in feeds]
        logits_BV = self._lm.extend(list(zip(lanes, parts, strict=True)))
        tokens = choose(logits_BV, [feed.session.sampler if feed.whole else None for feed in feeds])
        chosen_B1 = torch.tensor(tokens, device=logits_BV.device)[:, None]
        sound = logits_BV.gather(1, chosen_B1)[:, 0].isfinite().tolist()
        return [
            token if finite else ArithmeticError("the model's numbers are not finite")
            for token, finite in zip(tokens, sound, strict=True)
        ]

    def _embed(self, feeds: Sequence[Feed]) -> Tensor:
        """Return all embeddings in a row, each chunk's frames in the places of its PADs."""
        ids: list[int] = []
        frames, starts = [], []
        for feed in feeds:
            for segment in feed.segments:
                if segment.frames is not None:
                    frames.append(segment.frames)
                    starts.append(len(ids))
                ids += segment.ids
        embedded_ND = self._lm.embed(ids)
        if frames:
            places_N = (np.array(starts)[:, None] + self._pads_F).reshape(-1)
            frames_ND = torch.from_numpy(np.concatenate(frames)).to(embedded_ND)
            embedded_ND = embedded_ND.index_copy(
                0, torch.from_numpy(places_N).to(embedded_ND.device), frames_ND
            )
        return embedded_ND


def take_turns(sessions: Iterable[UnifiedSession], long_positions: int) -> list[Feed]:
    """Take what the next step feeds: what is short whole, of what is long equal shares."""
    pending = [(session, _positions(session.pending)) for session in sessions]
    long = sum(positions > SHORT_POSITIONS for _, positions in pending)
    share = max(SHORT_POSITIONS, long_positions // max(long, 1))
    return [_take(session, share) for session, _ in pending]


def _positions(segments: Iterable[Segment]) -> int:
    return sum(len(segment.ids) for segment in segments)


def _take(session: UnifiedSession, most: int) -> Feed:
    """Take whole segments off what is pending, at least one."""
    taken = [session.pending.popleft()]
    positions = len(taken[0].ids)
    while session.pending and positions + len(session.pending[0].ids) <= most:
        taken.append(session.pending.popleft())
        positions += len(taken[-1].ids)
    return Feed(session, taken, positions, not session.pending)


def _begun(
    session: UnifiedSession,
    begin: Callable[[Sequence[Features]], OutcomeT | None],
    queue: Sequence[Features],
) -> OutcomeT | Exception | None:
    """Begin a session's step, if it is not in the middle of one."""
    if session.pending:
        return None
    try:
        return begin(queue)
    except Exception as error:
        session.fail()
        return error


def _followed(
    session: UnifiedSession,
    follow: Callable[[int], OutcomeT | None],
    token: int | Exception | None,
) -> OutcomeT | Exception | None:
    """Tell a session what follows, if all that was pending is fed."""
    try:
        if isinstance(token, Exception):
            raise token
        return None if token is None else follow(token)
    except Exception as error:
        session.fail()
        return error
