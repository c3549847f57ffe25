"""How services reach the models, in this process or on inference servers."""

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Protocol

from services.core.errors import Unavailable
from soundflow.audio import Chunk
from soundflow.engine_session import Heard
from soundflow.features import Features
from soundflow.interaction import NOTHING_PAST, ModelInfo, Past, Piece, SessionSpec


class ReplicaLost(Unavailable):
    """The inference server that was called is gone, and what it held of its sessions with it."""

    def __init__(self, replica: str, why: str) -> None:
        super().__init__("replica_lost", f"inference server {replica} is gone: {why}")
        self.replica = replica


class EncoderClient(Protocol):
    """Encodes one chunk after the other, of many sessions at once."""

    def initial(self) -> bytes:
        """Return the state of a session that has heard nothing."""
        ...

    def encode(self, chunk: Chunk, state: bytes) -> Awaitable[tuple[Features, bytes]]:
        """Encode a chunk; return its features and the state for the next.

        It depends on nothing else, so a lost server is no error: another one is asked.
        Unavailable when none answers for longer than it waits. StateMisfit when the state is not
        one of this encoder.
        """
        ...


class DecoderClient(Protocol):
    """The engine's calls (DESIGN, section 4), on one replica.

    Sessions are opened before anything else. Every call, and every answer that is awaited, raises
    ReplicaLost when the replica is gone, and EngineError when it does not fit the session's state.
    """

    @property
    def info(self) -> ModelInfo:
        """What the model behind it says of itself."""
        ...

    async def open(self, session_id: str, spec: SessionSpec, past: Past = NOTHING_PAST) -> int:
        """Make a session, and return the chunk that it expects next.

        One that is open already stays as it is. A new one begins at `past.window_start`.
        """
        ...

    def hear(self, features: Features) -> Awaitable[Heard]:
        """Queue a chunk; the result is there once it was drained. Order of calls is kept.

        A chunk heard before gets the decision that covers it.
        """
        ...

    def speak(self, session_id: str, turn: int) -> AsyncIterator[Piece]:
        """Follow a turn that a decision named, from its first piece to its end.

        Whoever follows a turn again gets all its pieces again, also a while after its end.
        """
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


class DecoderPool(Protocol):
    """The decoder's replicas. Each session's state is on one of them."""

    @property
    def info(self) -> ModelInfo:
        """What the model says of itself; the same on every replica."""
        ...

    async def ranked(self, session_id: str) -> Sequence[str]:
        """Return the replicas that answer, where a session belongs first: by its id alone.

        Waits while none answers; Unavailable when it has waited too long.
        """
        ...

    def at(self, replica: str) -> DecoderClient:
        """Return the replica of that name, whether it answers or not."""
        ...

    def successor(self, replica: str) -> str | None:
        """Return the replica that runs the newest version of the model where this one is.

        None where this one does, or where that does not answer.
        """
        ...
