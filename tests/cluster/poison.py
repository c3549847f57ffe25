"""Messages that no service can use, one of each kind for every topic."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import Message

from services.core.generated.soundflow.v1 import stream_pb2 as pb
from services.core.wire import AUDIO, CARRIED, DECISIONS, FEATURES, MAX_MESSAGE_BYTES, RESPONSES

NO_MESSAGE = b"\xff" * 11  # no protobuf begins so
NOISE_BYTES = 300
ENVELOPE_BYTES = 1024  # Kafka counts more than the value
PCM = b"\1" * 12_800
_LATER_ACTION = b"\x18\x63"  # field 3, action, is 99
# Two megabytes and a little; topics take one, and dead letters two.
TOO_LARGE = NO_MESSAGE.ljust(2 * MAX_MESSAGE_BYTES + 1, b"\1")


@dataclass(frozen=True, slots=True)
class Poison:
    """A message. readable: it is one of its topic, for a session that is not there."""

    kind: str
    key: str
    value: bytes
    readable: bool = False


def poison(topic: str, call: str, nobody: str) -> Iterator[Poison]:
    """Yield one of each kind, under the key of a running call where it cannot be read.

    nobody: a session that was never opened.
    """
    noise = NO_MESSAGE + np.random.default_rng(0).bytes(NOISE_BYTES)
    yield Poison("random bytes", call, noise)
    yield Poison("empty", call, b"")
    yield Poison("huge", call, noise.ljust(MAX_MESSAGE_BYTES - ENVELOPE_BYTES, b"\1"))
    yield Poison("another topic's", call, _of_another_topic(topic, call).SerializeToString())
    yield Poison("another version's", call, _of_another_version(topic, call).SerializeToString())
    yield Poison("out of order", nobody, _out_of_order(topic, nobody).SerializeToString(), True)


def _of_another_topic(topic: str, session_id: str) -> Message:
    if topic == AUDIO.name:
        return pb.SessionEvent(session_id=session_id, closed="error")
    return pb.AudioChunk(session_id=session_id, index=3, pcm_s16le=PCM, samples=6400)


def _of_another_version(topic: str, session_id: str) -> Message:
    match topic:
        case AUDIO.name:  # of longer chunks
            return pb.AudioChunk(session_id=session_id, pcm_s16le=PCM * 2, samples=12_800)
        case FEATURES.name:  # of another way to name types
            tensor = pb.Tensor(name="level", dtype="FP32", shape=[1], data=bytes(4))
            return pb.ChunkFeatures(session_id=session_id, tensors=[tensor])
        case DECISIONS.name:  # of an action that came later
            return pb.Decision.FromString(
                _LATER_ACTION + pb.Decision(session_id=session_id).SerializeToString()
            )
    return pb.SessionEvent(session_id=session_id, at_unix_us=1)  # of a change that came later


def _out_of_order(topic: str, session_id: str) -> Message:
    match topic:
        case AUDIO.name:
            return pb.AudioChunk(session_id=session_id, index=7, pcm_s16le=PCM, samples=6400)
        case FEATURES.name:
            return pb.ChunkFeatures(session_id=session_id, index=7)
        case DECISIONS.name:
            return pb.Decision(session_id=session_id, index=7, action=pb.ACTION_SILENT)
        case CARRIED.name:
            return pb.CarriedState(session_id=session_id, next_index=7)
        case RESPONSES.name:
            made = pb.DecisionMade(chunk=7, decision=pb.ACTION_SILENT)
            return pb.ResponseEvent(session_id=session_id, decision=made)
    return pb.SessionEvent(session_id=session_id, cancelled_turn=7)
