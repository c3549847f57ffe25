"""What travels between the services: the payload, and when its audio was captured."""

from dataclasses import dataclass

from soundflow.audio import Chunk
from soundflow.features import Features
from soundflow.interaction import Decision, Overrun, SessionSpec


@dataclass(frozen=True, slots=True)
class AudioMessage:
    """A chunk, from ingestion to perception. `captured_unix_us`: its last sample arrived then."""

    chunk: Chunk
    captured_unix_us: int

    @property
    def session_id(self) -> str:
        """The key."""
        return self.chunk.session_id


@dataclass(frozen=True, slots=True)
class FeaturesMessage:
    """A chunk's features, from perception to decision."""

    features: Features
    captured_unix_us: int

    @property
    def session_id(self) -> str:
        """The key."""
        return self.features.session_id


@dataclass(frozen=True, slots=True)
class CarriedMessage:
    """What a session carries in front of the encoder, from one perception replica to the next.

    next_index: the chunk that it waits for.
    """

    session_id: str
    next_index: int
    state: bytes


@dataclass(frozen=True, slots=True)
class DecisionMessage:
    """A decision, from decision to response.

    last: the session's last chunk was heard; no decision follows.
    dropped: chunks that were dropped unheard since the decision before.
    model_version: of the decoder that made it; 0 where it has none.
    """

    decision: Decision
    captured_unix_us: int
    decided_unix_us: int
    last: bool = False
    dropped: Overrun | None = None
    model_version: int = 0

    @property
    def session_id(self) -> str:
        """The key."""
        return self.decision.session_id


@dataclass(frozen=True, slots=True)
class Opened:
    """The session was opened."""

    spec: SessionSpec


@dataclass(frozen=True, slots=True)
class Instructed:
    """The caller gave a new instruction."""

    text: str


@dataclass(frozen=True, slots=True)
class TurnCancelled:
    """The caller wants a turn to end."""

    turn: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The session ended; the reason is one of `services.core.events.CloseReason`.

    caller_told: the caller knows it already.
    """

    reason: str
    caller_told: bool = False


# What a service announces that cannot go on with a session; and where no decoder has room for it.
GIVEN_UP = Closed("error")
NO_ROOM = Closed("overloaded")

SessionChange = Opened | Instructed | TurnCancelled | Closed


@dataclass(frozen=True, slots=True)
class SessionMessage:
    """What happened to a session as a whole, from ingestion to all others."""

    session_id: str
    at_unix_us: int
    change: SessionChange
