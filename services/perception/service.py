"""Perception: turn each chunk into features, carrying each session's small front-end state."""

import asyncio
from dataclasses import dataclass, field

from services.core import metrics
from services.core.clock import unix_us
from services.core.lanes import Lanes
from services.core.messages import GIVEN_UP, AudioMessage, Closed, FeaturesMessage, SessionMessage
from services.inference.port import CarriedState, EncoderClient
from services.transport.port import Received, Topic
from soundflow.audio import Chunk

GROUP = "perception"


@dataclass(slots=True)
class _Carried:
    """What a session carries: the encoder's state, and the chunk that it expects next."""

    state: CarriedState
    next_index: int = 0


@dataclass(frozen=True, slots=True)
class PerceptionService:
    """Encode every chunk as it arrives; never wait for the decoder."""

    audio: Topic[AudioMessage]
    sessions: Topic[SessionMessage]
    features: Topic[FeaturesMessage]
    encoder: EncoderClient
    _carried: dict[str, _Carried] = field(default_factory=dict)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_sessions())
            lanes = Lanes("perception", group, self._perceive, self._give_up)
            async for received in self.audio.subscribe(GROUP):
                await lanes.put(received.message.session_id, received)

    async def _perceive(self, received: Received[AudioMessage]) -> None:
        chunk = received.message.chunk
        carried = self._carry(chunk)
        # One that does not follow is repeated, and its features were sent; or its session is over.
        if carried is None or chunk.index != carried.next_index:
            received.done()
            return
        with metrics.ENCODE_SECONDS.time():
            features, carried.state = await self.encoder.encode(chunk, carried.state)
        carried.next_index = chunk.index + 1
        await self.features.send(FeaturesMessage(features, received.message.captured_unix_us))
        metrics.CHUNKS_ENCODED.inc()
        received.done()

    def _carry(self, chunk: Chunk) -> _Carried | None:
        """Return what the chunk's session carries; a session begins with its first chunk."""
        if chunk.index == 0 and chunk.session_id not in self._carried:
            self._carried[chunk.session_id] = _Carried(self.encoder.initial())
        return self._carried.get(chunk.session_id)

    async def _follow_sessions(self) -> None:
        async for received in self.sessions.subscribe(GROUP):
            if isinstance(received.message.change, Closed):
                self._carried.pop(received.message.session_id, None)
            received.done()

    async def _give_up(self, session_id: str) -> None:
        await self.sessions.send(SessionMessage(session_id, unix_us(), GIVEN_UP))
