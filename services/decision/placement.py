"""Where each session's model state is, and how it gets there again when it is lost."""

import asyncio
import dataclasses
import logging
import time
from dataclasses import dataclass, field

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from services.core import metrics
from services.core.errors import Failed, SessionUnknown
from services.core.messages import FeaturesMessage
from services.decision.placed import Placed, SessionOver
from services.inference.port import DecoderClient, DecoderPool, ReplicaLost
from services.state.port import RecordBroken, SessionRecord, SessionStore
from services.transport.port import History
from soundflow.decoder import DecoderFull
from soundflow.engine_session import Heard, NotOpen, OutOfOrder
from soundflow.interaction import OpenTurn, Past, PastTurn

log = logging.getLogger(__name__)

# Features were captured before they were sent; replicas' clocks differ a little.
CLOCK_SLACK_US = 10_000_000
# A session that is over for its caller is so for its decoder a moment later.
FULL_FOR_S = 5.0
FULL_RETRY_S = 0.1


@dataclass(frozen=True, slots=True)
class Placement:
    """Finds each session's decoder; moves and rebuilds a session whose decoder is lost."""

    store: SessionStore
    decoders: DecoderPool
    features: History[FeaturesMessage]
    _placed: dict[str, Placed] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._placed)

    async def find(self, session_id: str) -> Placed:
        """Return a session, from its record when it is new here. SessionOver, SessionUnknown."""
        if session := self._placed.get(session_id):
            session.touched_s = time.monotonic()
            return session
        record = await self.store.get(session_id)
        if record.closed:
            raise SessionOver
        # Another job of the session may have come first.
        return self._placed.setdefault(
            session_id,
            Placed(
                session_id,
                heard=record.last_index,
                decided=record.last_index,
                turn=record.newest_turn,
                window_start=record.window_start,
                window_unix_us=record.window_unix_us,
                memory=record.memory,
                touched_s=time.monotonic(),
            ),
        )

    def forget_idle(self, idle_s: float) -> None:
        """Let go of sessions that nothing came of for so long: they have moved to other replicas.

        One that comes back is found by its record.
        """
        since_s = time.monotonic() - idle_s
        for session in list(self._placed.values()):
            if session.touched_s < since_s and not session.pending:
                del self._placed[session.session_id]

    async def decoder(self, session: Placed) -> DecoderClient:
        """Return the decoder that holds a session's state, which is placed if it is nowhere."""
        async with session.placing:
            if not session.replica:
                await self._place(session)
        return self.decoders.at(session.replica)

    async def give(self, session: Placed, message: FeaturesMessage) -> "Answer":
        """Give the next chunk to the session's decoder. SessionOver."""
        await self._change_over(session, message.features.version)
        while True:
            decoder = await self.decoder(session)
            placement = session.placement
            try:
                answer = decoder.hear(message.features)
            except (ReplicaLost, NotOpen, OutOfOrder) as lost:
                await self.lost(session, placement, lost, upto=message.features.index - 1)
                continue
            session.gave(message)
            heard = asyncio.ensure_future(answer)
            return Answer(self, session, message, heard, placement, session.version)

    async def lost(
        self, session: Placed, placement: int, why: Exception, *, upto: int | None = None
    ) -> None:
        """Place a session anew, unless that was done since `placement`. SessionOver.

        upto: the newest chunk that the decoder must have heard before it goes on.
        """
        async with session.placing:
            if session.placement != placement:
                return
            log.warning("session %s lost its decoder: %s", session.session_id, why)
            started_at = time.monotonic()
            session.heard = max(session.heard, -1 if upto is None else upto)
            await self._place(session)
            metrics.REBUILD_SECONDS.observe(time.monotonic() - started_at)

    async def _change_over(self, session: Placed, version: int) -> None:
        """Place a session on a newer version of the model, once that has encoded its audio.

        Not before all that the older one heard is decided, so nothing is decided by both. A turn
        that is being said goes on to its end where it began.
        """
        unsettled = session.pending or session.heard > session.decided
        if version <= session.version or unsettled:
            return
        async with session.placing:
            successor = self.decoders.successor(session.replica) if session.replica else None
            if successor is None:
                return
            log.info("session %s changes over to %s", session.session_id, successor)
            await self._place(session, successor)

    async def close(self, session_id: str) -> None:
        """Let go of a session that is over: here, and at its decoder, whoever placed it there."""
        session = self._placed.pop(session_id, None)
        if session:
            session.over = True
        try:
            replica = session.replica if session else (await self.store.get(session_id)).decoder
            if replica:
                await self.decoders.at(replica).close(session_id)
        except (SessionUnknown, RecordBroken, ReplicaLost):
            return  # it is nowhere, or nobody knows where

    async def _place(self, session: Placed, successor: str = "") -> None:
        """Open the session where it is, or on another replica, and let it catch up.

        successor: the replica that takes over from one that lives.
        """
        record = await self.store.get(session.session_id)
        if record.closed or session.over:
            raise SessionOver
        session.decided = max(session.decided, record.last_index)
        turns, open_turns = record.turns, _open_turns(session, record)
        if successor:
            # What is said elsewhere to its end is over here: opened again it would be said twice.
            turns += tuple(PastTurn(turn.turn, turn.kind, "", turn.chunk) for turn in open_turns)
            open_turns = ()
        past = Past(
            turns,
            open_turns,
            session.window_start,
            session.decided,
            memory=session.memory,
        )
        window_unix_us = session.window_unix_us
        replica, expected = await self._open(record, past, successor or record.decoder)
        decoder = self.decoders.at(replica)
        try:
            rebuilt = await self._catch_up(session, decoder, expected, window_unix_us)
        except (NotOpen, OutOfOrder) as why:  # lost again meanwhile
            raise ReplicaLost(replica, str(why)) from why
        if rebuilt and session.instruction:
            await decoder.instruct(session.session_id, session.instruction)
        if session.over:  # meanwhile
            await decoder.close(session.session_id)
            raise SessionOver
        # Decisions of before may have moved the window on meanwhile; here it begins as it was.
        session.window_unix_us = min(session.window_unix_us, window_unix_us)
        session.replica = replica
        session.version = decoder.info.version
        session.placement += 1

    async def _open(self, record: SessionRecord, past: Past, first: str) -> tuple[str, int]:
        """Open a session where there is room; where there is none, wait a while for some.

        Returns the replica, and the chunk that it expects. DecoderFull.
        """
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(DecoderFull),
            stop=stop_after_delay(FULL_FOR_S),
            wait=wait_fixed(FULL_RETRY_S),
            reraise=True,
        ):
            with attempt:
                return await self._open_somewhere(record, past, first)
        raise AssertionError("the last attempt raises what it met")

    async def _open_somewhere(
        self, record: SessionRecord, past: Past, first: str
    ) -> tuple[str, int]:
        """Open a session where that is wanted first; else on the first replica that has room."""
        met: ReplicaLost | DecoderFull | None = None
        ranked = await self.decoders.ranked(record.session_id)
        for replica in dict.fromkeys((first or ranked[0], *ranked)):
            decoder = self.decoders.at(replica)
            try:
                if record.decoder not in ("", replica):
                    # One that was only cut off from here has the session as it was then.
                    await decoder.close(record.session_id)
                expected = await decoder.open(record.session_id, record.spec, past)
            except (ReplicaLost, DecoderFull) as why:
                met = why
                continue
            await self._assign(record, replica)
            return replica, expected
        assert met
        raise met

    async def _assign(self, record: SessionRecord, replica: str) -> None:
        """Let everybody know by the record where a session is."""
        if replica == record.decoder:
            return
        if record.decoder:
            metrics.SESSIONS_MOVED.inc()
        await self.store.update(
            record.session_id, lambda old: dataclasses.replace(old, decoder=replica)
        )

    async def _catch_up(
        self, session: Placed, decoder: DecoderClient, expected: int, window_unix_us: int
    ) -> bool:
        """Let the decoder hear again what it has not, up to what it was given before.

        window_unix_us: nothing that it has to hear was captured before.
        False when it has heard all that.
        """
        if expected > session.heard:
            return False
        metrics.SESSIONS_REBUILT.inc()
        since_unix_us = window_unix_us - CLOCK_SLACK_US
        async for kept in self.features.read(session.session_id, since_unix_us):
            features = kept.message.features
            if features.index == expected and expected <= session.heard:
                await decoder.hear(features)
                expected += 1
        if expected <= session.heard:
            log.error("session %s: chunk %d is kept nowhere", session.session_id, expected)
            raise Failed
        return True


def _open_turns(session: Placed, record: SessionRecord) -> tuple[OpenTurn, ...]:
    """Return a record's open turns, and those on their way into it."""
    known = record.known_turns
    return record.open_turns + tuple(
        turn for number, turn in session.unwritten.items() if number not in known
    )


@dataclass(slots=True)
class Answer:
    """What the decoder will say of a chunk, whichever replica says it in the end."""

    _placement: Placement
    session: Placed
    message: FeaturesMessage
    _heard: asyncio.Future[Heard]
    _given: int  # the placement of the decoder that was asked
    version: int  # of the model there

    async def heard(self) -> Heard:
        """Wait for it. SessionOver."""
        while True:
            try:
                return await asyncio.shield(self._heard)
            except (ReplicaLost, NotOpen, OutOfOrder) as lost:
                if self.session.over:
                    raise SessionOver from lost
                await self._placement.lost(self.session, self._given, lost)
                self._given, self.version = self.session.placement, self.session.version
                decoder = self._placement.decoders.at(self.session.replica)
                self._heard = asyncio.ensure_future(decoder.hear(self.message.features))
