"""One turn, from its start to its end, whatever becomes of the decoder that speaks it."""

import asyncio
import dataclasses
import logging
import time
from dataclasses import dataclass, field

from services.core import metrics
from services.core.clock import seconds_since
from services.core.events import ResponseEnded, ResponseStarted, ResponseText
from services.core.messages import DecisionMessage
from services.inference.port import DecoderPool, ReplicaLost
from services.response.telling import Telling
from services.state.behind import WriteBehind
from services.state.port import KEPT_TURNS, SessionRecord, SessionStore
from soundflow.engine_session import EngineError
from soundflow.interaction import EndReason, PastTurn, Piece, TurnStart

log = logging.getLogger(__name__)

# A lost session is placed anew by the decision service within a few seconds.
_PLACED_WITHIN_S = 60.0
_LOOK_AGAIN_S = 0.2


@dataclass(slots=True)
class Place:
    """The decoder replica that a session's state was on when last looked at."""

    replica: str


@dataclass(slots=True)
class Speech:
    """A turn that is being said. said: the newest text of each sequence; settled: those final.

    A turn that is followed again, on another decoder, is said again: what is final stays as it was.
    """

    session_id: str
    start: TurnStart
    decision: DecisionMessage
    telling: Telling
    place: Place
    said: dict[int, str] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)
    begun: bool = False
    ended: bool = False

    @property
    def text(self) -> str:
        """All that was said."""
        return "".join(self.said[sequence] for sequence in sorted(self.said)).strip()

    async def begin(self) -> None:
        """Tell that the turn begins, once."""
        if self.begun:
            return
        index = self.decision.decision.index
        started = ResponseStarted(self.start.turn, index, self.start.kind, self.start.emotion)
        await self.telling.tell(started)
        metrics.TURNS_STARTED.labels(self.start.kind.value).inc()
        self.begun = True

    async def say(self, piece: Piece) -> None:
        """Tell a piece, unless it is settled already."""
        if piece.ended:
            await self.end(piece.ended)
            return
        if piece.sequence in self.settled:
            return
        waited_s = seconds_since(self.decision.captured_unix_us)
        await self.telling.tell(
            ResponseText(piece.turn, piece.sequence, piece.text, piece.final, piece.words)
        )
        if not self.said:
            metrics.FIRST_TEXT_SECONDS.labels(self.start.kind.value).observe(waited_s)
        self.said[piece.sequence] = piece.text
        if piece.final:
            self.settled.add(piece.sequence)

    async def end(self, reason: EndReason) -> None:
        """Tell that the turn is over."""
        await self.telling.tell(ResponseEnded(self.start.turn, reason))
        metrics.TURNS_ENDED.labels(reason.value).inc()
        self.ended = True


async def speak(
    speech: Speech, decoders: DecoderPool, store: SessionStore, records: WriteBehind
) -> None:
    """Say one turn to its end, then keep it in the session's record. May be done again."""
    await speech.begin()
    since = time.monotonic()
    while not speech.ended:
        try:
            decoder = decoders.at(speech.place.replica)
            async for piece in decoder.speak(speech.session_id, speech.start.turn):
                await speech.say(piece)
                since = time.monotonic()
        except (EngineError, ReplicaLost) as lost:
            record = await store.get(speech.session_id)
            if record.closed:
                return
            speech.place.replica = record.decoder
            if time.monotonic() - since > _PLACED_WITHIN_S:
                log.error("session %s: turn %d lost", speech.session_id, speech.start.turn)
                await speech.end(EndReason.ERROR)
                break
            log.warning("session %s waits for its decoder: %s", speech.session_id, lost)
            await asyncio.sleep(_LOOK_AGAIN_S)
    start, chunk = speech.start, speech.decision.decision.index
    past = PastTurn(start.turn, start.kind, speech.text, chunk)
    await records.change(speech.session_id, _Finished(past), now=True)


@dataclass(frozen=True, slots=True)
class _Finished:
    """The change of a record that a finished turn makes; the same when made twice."""

    past: PastTurn

    def __call__(self, record: SessionRecord) -> SessionRecord:
        others = [past for past in record.turns if past.turn != self.past.turn]
        turns = tuple(sorted([*others, self.past], key=lambda past: past.turn))
        still_open = tuple(turn for turn in record.open_turns if turn.turn != self.past.turn)
        return dataclasses.replace(record, turns=turns[-KEPT_TURNS:], open_turns=still_open)
