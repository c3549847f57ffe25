"""Perception: turn each chunk into features, carrying each session's small front-end state."""

import asyncio
import logging
from dataclasses import dataclass, field

from services.core import metrics
from services.core.lanes import Lanes
from services.core.messages import AudioMessage, Closed, FeaturesMessage, SessionMessage
from services.inference.port import CarriedState, EncoderClient
from services.transport.port import Received, Topic

GROUP = "perception"

log = logging.getLogger(__name__)


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
            lanes = Lanes("perception", group, self._perceive)
            async for received in self.audio.subscribe(GROUP):
                lanes.put(received.message.session_id, received)

    async def _perceive(self, received: Received[AudioMessage]) -> None:
        chunk = received.message.chunk
        carried = self._carried.setdefault(chunk.session_id, _Carried(self.encoder.initial()))
        if chunk.index < carried.next_index:  # repeated: its features were sent
            received.done()
            return
        with metrics.ENCODE_SECONDS.time():
            features, carried.state = await self.encoder.encode(chunk, carried.state)
        carried.next_index = chunk.index + 1
        await self.features.send(FeaturesMessage(features, received.message.captured_unix_us))
        metrics.CHUNKS_ENCODED.inc()
        received.done()
        if chunk.last:
            self._carried.pop(chunk.session_id, None)

    async def _follow_sessions(self) -> None:
        async for received in self.sessions.subscribe(GROUP):
            if isinstance(received.message.change, Closed):
                self._carried.pop(received.message.session_id, None)
            received.done()
