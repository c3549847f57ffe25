"""What went through the platform's topics while a test watched."""

from dataclasses import dataclass, field

from services.core.events import CallerEvent
from services.core.messages import (
    AudioMessage,
    Closed,
    DecisionMessage,
    FeaturesMessage,
    SessionMessage,
)


@dataclass
class Watched:
    """All messages of all topics, each topic's in order. responses: with their places as ids."""

    audio: list[AudioMessage] = field(default_factory=list)
    features: list[FeaturesMessage] = field(default_factory=list)
    decisions: list[DecisionMessage] = field(default_factory=list)
    sessions: list[SessionMessage] = field(default_factory=list)
    responses: list[CallerEvent] = field(default_factory=list)

    def whole(self) -> bool:
        """Whether the last message of a session has come on every topic."""
        return (
            any(message.chunk.last for message in self.audio)
            and any(message.features.last for message in self.features)
            and any(message.last for message in self.decisions)
            and any(isinstance(message.change, Closed) for message in self.sessions)
            and any(told.event.type == "session.closed" for told in self.responses)
        )
