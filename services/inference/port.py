"""How services reach the models, in this process or on an inference server."""

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, Protocol

from soundflow.audio import Chunk
from soundflow.engine_session import Heard
from soundflow.features import Features
from soundflow.interaction import ModelInfo, PastTurn, Piece, SessionSpec

# What an encoder carries from chunk to chunk: opaque to all but the encoder that made it.
CarriedState = Any


class EncoderClient(Protocol):
    """Encodes one chunk after the other, of many sessions at once."""

    def initial(self) -> CarriedState:
        """Return the state of a session that has heard nothing."""
        ...

    def encode(self, chunk: Chunk, state: CarriedState) -> Awaitable[tuple[Features, CarriedState]]:
        """Encode a chunk; return its features and the state for the next."""
        ...


class DecoderClient(Protocol):
    """The engine's calls (DESIGN, section 4). Sessions are opened before anything else."""

    @property
    def info(self) -> ModelInfo:
        """What the model behind it says of itself."""
        ...

    async def open(
        self, session_id: str, spec: SessionSpec, history: Sequence[PastTurn] = ()
    ) -> None:
        """Make a session; one that is open already stays as it is."""
        ...

    def hear(self, features: Features) -> Awaitable[Heard]:
        """Queue a chunk; the result is there once it was drained. Order of calls is kept."""
        ...

    def speak(self, session_id: str, turn: int) -> AsyncIterator[Piece]:
        """Follow a turn that a decision named, to its end."""
        ...

    async def instruct(self, session_id: str, text: str) -> None:
        """Follow a new instruction."""
        ...

    async def cancel(self, session_id: str, turn: int) -> None:
        """Give up a turn."""
        ...

    async def close(self, session_id: str) -> None:
        """Forget a session; one that is not open is no error."""
        ...
