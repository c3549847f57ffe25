"""What crosses a topic: the table of topics, and their messages as protobuf and back.

Whatever arrives is checked: bytes that are not what they should be are a BadRequest that says why.
Callers' events are in `wire_events.py`, what several messages share in `wire_values.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from google.protobuf.message import DecodeError

from services.core.events import CallerEvent
from services.core.generated.soundflow.v1 import stream_pb2 as pb
from services.core.messages import (
    AudioMessage,
    CarriedMessage,
    Closed,
    DecisionMessage,
    FeaturesMessage,
    Instructed,
    Opened,
    SessionChange,
    SessionMessage,
    TurnCancelled,
)
from services.core.wire_events import event_from_proto, event_to_proto
from services.core.wire_values import (
    bad_message,
    enum_from_proto,
    enum_to_proto,
    spec_from_proto,
    spec_to_proto,
    tensor_from_proto,
    tensor_to_proto,
)
from soundflow.audio import CHUNK_SAMPLES, Chunk, Pcm
from soundflow.features import Features
from soundflow.interaction import Action, Decision, Kind, Overrun, TurnStart

# The same for every topic, so that one session's data lie in partitions of one number.
PARTITIONS = 64

MAX_MESSAGE_BYTES = 1024 * 1024  # features of a chunk are 13 KB; the cascade's are the largest
MAX_DEAD_LETTER_BYTES = 2 * MAX_MESSAGE_BYTES  # a message of any topic, and why it is here

_PCM_SCALE = 32768  # a sample of 1.0 as a 16 bit integer, which ends one below


class Keyed(Protocol):
    """A message that belongs to a session."""

    @property
    def session_id(self) -> str:
        """The session, and the message's key."""
        ...


M = TypeVar("M", bound=Keyed)


@dataclass(frozen=True, slots=True)
class TopicType(Generic[M]):
    """A topic: its name, its messages, and how long they are kept.

    Messages are keyed by session and spread over PARTITIONS.
    name: without the prefix that a deployment puts before all its topics.
    retention: None = for ever.
    compacted_after: how long a message stays at least where a newer one of its session has come;
    None = as long as any other.
    """

    name: str
    proto: type[Any]
    to_proto: Callable[[M], Any]
    from_proto: Callable[[Any], M]
    retention: timedelta | None
    compacted_after: timedelta | None = None

    def key(self, message: M) -> bytes:
        """Return what chooses the message's partition."""
        return message.session_id.encode()

    def dump(self, message: M) -> bytes:
        """Write a message."""
        data: bytes = self.to_proto(message).SerializeToString()
        return data

    def load(self, data: bytes) -> M:
        """Read a message. BadRequest when the bytes are not one of this topic."""
        try:
            proto = self.proto.FromString(data)
        except DecodeError as error:
            raise bad_message(
                f"{len(data)} bytes on {self.name} are no message: {error}"
            ) from error
        if not proto.session_id:
            raise bad_message(f"a message on {self.name} names no session")
        return self.from_proto(proto)


def chunk_to_proto(message: AudioMessage) -> pb.AudioChunk:
    """Write a chunk as 16 bit samples, which rounds what was not 16 bit before."""
    chunk = message.chunk
    pcm = np.clip(np.rint(chunk.pcm * _PCM_SCALE), -_PCM_SCALE, _PCM_SCALE - 1)
    return pb.AudioChunk(
        session_id=chunk.session_id,
        index=chunk.index,
        pcm_s16le=pcm.astype("<i2").tobytes(),
        samples=chunk.samples,
        last=chunk.last,
        captured_unix_us=message.captured_unix_us,
    )


def chunk_from_proto(proto: pb.AudioChunk) -> AudioMessage:
    """Read a chunk. BadRequest when it is not one whole step."""
    _check_index(proto.index)
    if not 0 <= proto.samples <= CHUNK_SAMPLES:
        raise bad_message(f"a chunk has 0 to {CHUNK_SAMPLES} samples, got {proto.samples=}")
    chunk = Chunk(proto.session_id, proto.index, _pcm(proto), proto.samples, proto.last)
    return AudioMessage(chunk, proto.captured_unix_us)


def features_to_proto(message: FeaturesMessage) -> pb.ChunkFeatures:
    """Write a chunk's features."""
    features = message.features
    return pb.ChunkFeatures(
        session_id=features.session_id,
        index=features.index,
        tensors=[tensor_to_proto(name, tensor) for name, tensor in features.tensors.items()],
        last=features.last,
        captured_unix_us=message.captured_unix_us,
        model_version=features.version,
    )


def features_from_proto(proto: pb.ChunkFeatures) -> FeaturesMessage:
    """Read a chunk's features. BadRequest when a tensor's parts do not agree."""
    _check_index(proto.index)
    tensors = {tensor.name: tensor_from_proto(tensor) for tensor in proto.tensors}
    if len(tensors) < len(proto.tensors):
        raise bad_message(f"chunk {proto.index} of {proto.session_id!r} names a tensor twice")
    features = Features(proto.session_id, proto.index, tensors, proto.last, proto.model_version)
    return FeaturesMessage(features, proto.captured_unix_us)


def carried_to_proto(message: CarriedMessage) -> pb.CarriedState:
    """Write what a session carries."""
    return pb.CarriedState(
        session_id=message.session_id, next_index=message.next_index, state=message.state
    )


def carried_from_proto(proto: pb.CarriedState) -> CarriedMessage:
    """Read what a session carries. BadRequest."""
    _check_index(proto.next_index)
    return CarriedMessage(proto.session_id, proto.next_index, proto.state)


def decision_to_proto(message: DecisionMessage) -> pb.Decision:
    """Write a decision."""
    decision, dropped = message.decision, message.dropped
    return pb.Decision(
        session_id=decision.session_id,
        index=decision.index,
        action=enum_to_proto(decision.action, pb.Action, "ACTION"),
        turns=[
            pb.TurnStart(
                turn=start.turn,
                kind=enum_to_proto(start.kind, pb.Kind, "KIND"),
                emotion=start.emotion,
            )
            for start in decision.turns
        ],
        last=message.last,
        captured_unix_us=message.captured_unix_us,
        decided_unix_us=message.decided_unix_us,
        dropped=pb.DroppedChunks(first=dropped.first, last=dropped.last) if dropped else None,
        model_version=message.model_version,
    )


def decision_from_proto(proto: pb.Decision) -> DecisionMessage:
    """Read a decision. BadRequest."""
    _check_index(proto.index)
    turns = tuple(
        TurnStart(start.turn, enum_from_proto(start.kind, Kind, pb.Kind, "KIND"), start.emotion)
        for start in proto.turns
    )
    action = enum_from_proto(proto.action, Action, pb.Action, "ACTION")
    dropped = Overrun(proto.dropped.first, proto.dropped.last)
    return DecisionMessage(
        Decision(proto.session_id, proto.index, action, turns),
        proto.captured_unix_us,
        proto.decided_unix_us,
        last=proto.last,
        dropped=dropped if proto.HasField("dropped") else None,
        model_version=proto.model_version,
    )


def session_to_proto(message: SessionMessage) -> pb.SessionEvent:
    """Write what happened to a session."""
    proto = pb.SessionEvent(session_id=message.session_id, at_unix_us=message.at_unix_us)
    match message.change:
        case Opened(spec):
            proto.opened.CopyFrom(spec_to_proto(spec))
        case Instructed(text):
            proto.instructed = text
        case TurnCancelled(turn):
            proto.cancelled_turn = turn
        case Closed(reason, caller_told):
            proto.closed = reason
            proto.caller_told = caller_told
    return proto


def session_from_proto(proto: pb.SessionEvent) -> SessionMessage:
    """Read what happened to a session. BadRequest."""
    return SessionMessage(proto.session_id, proto.at_unix_us, _change(proto))


def _change(proto: pb.SessionEvent) -> SessionChange:
    match proto.WhichOneof("event"):
        case "opened":
            return Opened(spec_from_proto(proto.opened))
        case "instructed":
            return Instructed(proto.instructed)
        case "cancelled_turn":
            return TurnCancelled(proto.cancelled_turn)
        case "closed":
            return Closed(proto.closed, proto.caller_told)
        case _:
            raise bad_message(f"nothing happened to session {proto.session_id!r}")


def _pcm(proto: pb.AudioChunk) -> Pcm:
    expected_bytes = 2 * CHUNK_SAMPLES
    if len(proto.pcm_s16le) != expected_bytes:
        raise bad_message(
            f"a chunk's samples take {expected_bytes} bytes, got {len(proto.pcm_s16le)}"
        )
    return np.frombuffer(proto.pcm_s16le, "<i2").astype(np.float32) / np.float32(_PCM_SCALE)


def _check_index(index: int) -> None:
    if index < 0:
        raise bad_message(f"a chunk's index counts from 0, got {index=}")


AUDIO: TopicType[AudioMessage] = TopicType(
    "audio", pb.AudioChunk, chunk_to_proto, chunk_from_proto, timedelta(minutes=10)
)
# As long as a decoder looks back, so that a lost replica's sessions can be built again.
FEATURES: TopicType[FeaturesMessage] = TopicType(
    "features",
    pb.ChunkFeatures,
    features_to_proto,
    features_from_proto,
    timedelta(hours=1),
)
DECISIONS: TopicType[DecisionMessage] = TopicType(
    "decisions", pb.Decision, decision_to_proto, decision_from_proto, timedelta(hours=1)
)
RESPONSES: TopicType[CallerEvent] = TopicType(
    "responses", pb.ResponseEvent, event_to_proto, event_from_proto, timedelta(days=7)
)
# A service that was away still finds each of them, an instruction behind which a cancel came too.
SESSIONS: TopicType[SessionMessage] = TopicType(
    "sessions",
    pb.SessionEvent,
    session_to_proto,
    session_from_proto,
    timedelta(days=7),
    compacted_after=timedelta(hours=1),
)
# The changelog of perception's table; nobody else reads it.
CARRIED: TopicType[CarriedMessage] = TopicType(
    "carried",
    pb.CarriedState,
    carried_to_proto,
    carried_from_proto,
    retention=None,
    compacted_after=timedelta(),
)
TOPICS: tuple[TopicType[Any], ...] = (AUDIO, FEATURES, DECISIONS, RESPONSES, SESSIONS, CARRIED)

# Bytes as they arrived; why and where from stands in their headers.
DEAD_LETTERS = "dead-letters"
DEAD_LETTERS_RETENTION = timedelta(days=7)
