"""Perception: turn each chunk into features, carrying each session's small front-end state."""

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial

from services.core import metrics
from services.core.clock import unix_us
from services.core.lanes import Lanes, riding_out
from services.core.messages import GIVEN_UP, AudioMessage, Closed, FeaturesMessage, SessionMessage
from services.inference.port import EncoderClient
from services.state.carried import Carried, CarriedStates
from services.transport.port import Received, Topic
from soundflow.audio import Chunk
from soundflow.encoder import StateMisfit
from soundflow.features import Features

log = logging.getLogger(__name__)

GROUP = "perception"
CLOSED_KEPT = 4096  # sessions whose last chunks may still be on their way
# A session has a chunk every 400 ms, also of silence, unless its caller is away; after so long it
# was closed without a word, or never opened: any message on the topic may begin one.
IDLE_S = 3600.0

Inbound = Received[AudioMessage] | Received[SessionMessage]


class Gapped(ValueError):
    """A chunk came whose predecessor never did: the session's features would not be its audio's."""


@dataclass(frozen=True, slots=True)
class PerceptionService:
    """Encode every chunk as it arrives; never wait for the decoder."""

    audio: Topic[AudioMessage]
    sessions: Topic[SessionMessage]
    features: Topic[FeaturesMessage]
    encoder: EncoderClient
    carried: CarriedStates
    _closed: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _touched_s: dict[str, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Work until cancelled."""
        metrics.SESSIONS_HELD.labels(GROUP).set_function(lambda: len(self.carried))
        async with asyncio.TaskGroup() as group:
            lanes = Lanes[Inbound](GROUP, group, self._handle, self._give_up)
            group.create_task(self._follow_sessions(lanes))
            group.create_task(self._give_up_idle())
            async for received in self.audio.subscribe(GROUP):
                await lanes.put(received.message.session_id, received)

    async def _follow_sessions(self, lanes: Lanes[Inbound]) -> None:
        async for received in self.sessions.subscribe(GROUP):
            if isinstance(received.message.change, Closed):
                await lanes.put(received.message.session_id, received)
            else:
                received.done()

    async def _handle(self, received: Inbound) -> None:
        message = received.message
        if isinstance(message, SessionMessage):
            self._forget(message.session_id)
        else:
            await self._perceive(message)
        received.done()

    async def _perceive(self, message: AudioMessage) -> None:
        """Encode a chunk, unless it is repeated, and its features were sent, or comes too late."""
        chunk = message.chunk
        carried = self._carry(chunk)
        if carried is None:
            return
        self._touched_s[chunk.session_id] = time.monotonic()
        if chunk.index < carried.next_index:
            return
        if chunk.index > carried.next_index:
            raise Gapped(f"{chunk.session_id!r} waits for {carried.next_index}, got {chunk.index=}")
        with metrics.ENCODE_SECONDS.time():
            features, state = await self._encode(chunk, carried.state)
        # In this order: a chunk whose state is carried on will not be encoded again.
        await self.features.send(FeaturesMessage(features, message.captured_unix_us))
        self.carried.put(chunk.session_id, Carried(state, chunk.index + 1))
        metrics.CHUNKS_ENCODED.inc()

    async def _encode(self, chunk: Chunk, state: bytes) -> tuple[Features, bytes]:
        """Encode a chunk; as a session's first, where a new version cannot read the old's state."""
        try:
            return await self.encoder.encode(chunk, state)
        except StateMisfit as misfit:
            log.warning("session %s is heard anew: %s", chunk.session_id, misfit)
            return await self.encoder.encode(chunk, self.encoder.initial())

    def _carry(self, chunk: Chunk) -> Carried | None:
        """Return what the chunk's session carries; a session begins with its first chunk."""
        if chunk.session_id in self._closed:
            return None
        carried = self.carried.get(chunk.session_id)
        if carried is None and chunk.index == 0:
            return Carried(self.encoder.initial(), 0)
        return carried

    def _forget(self, session_id: str) -> None:
        self.carried.drop(session_id)
        self._touched_s.pop(session_id, None)
        self._closed[session_id] = None
        if len(self._closed) > CLOSED_KEPT:
            self._closed.popitem(last=False)

    async def _give_up_idle(self) -> None:
        while True:
            await asyncio.sleep(IDLE_S / 2)
            await self.give_up_idle(IDLE_S)

    async def give_up_idle(self, idle_s: float) -> None:
        """Give up sessions that nothing came of for so long; as closed ones they are forgotten.

        Of one that was taken over from another replica, time counts from when this first sees it.
        """
        now_s = time.monotonic()
        for session_id in self.carried.sessions():
            if self._touched_s.setdefault(session_id, now_s) < now_s - idle_s:
                await riding_out(partial(self._announce_end, session_id))
        for session_id in self._touched_s.keys() - set(self.carried.sessions()):
            del self._touched_s[session_id]  # other replicas' by now

    async def _give_up(self, session_id: str, _: Exception) -> None:
        await self._announce_end(session_id)

    async def _announce_end(self, session_id: str) -> None:
        await self.sessions.send(SessionMessage(session_id, unix_us(), GIVEN_UP))
