"""Messages survive the wire, and nothing else does."""

import random
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import Message

from services.core import wire
from services.core.errors import BadRequest
from services.core.events import (
    CallerEvent,
    CloseReason,
    DecisionMade,
    ErrorEvent,
    Event,
    Gap,
    Overran,
    ResponseEnded,
    ResponseStarted,
    ResponseText,
    SessionClosed,
    SessionOpened,
)
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
from soundflow.audio import CHUNK_SAMPLES, Chunk
from soundflow.features import Features
from soundflow.interaction import (
    Ability,
    Action,
    Decision,
    EndReason,
    Kind,
    Overrun,
    SessionSpec,
    TurnStart,
    Word,
)

SESSION = "s-1"
SPEC = SessionSpec("count the bells", frozenset(Ability), "de", "en", "acme", "cascade")

EVENTS: list[Event] = [
    SessionOpened(SESSION, "cascade", "token"),
    DecisionMade(7, 3200, Action.RESPOND, 12.5),
    *(ResponseStarted(1, 7, kind, "urgent") for kind in Kind),
    ResponseText(1, 0, "", final=False),
    ResponseText(1, 2, " two", final=True, words=(Word("two", 10, 20), Word("three", 20, 30))),
    *(ResponseEnded(1, reason) for reason in EndReason),
    Gap(400, 1400, 3),
    Overran(0, 400, 1),
    ErrorEvent("bad_rate", "a sample rate of 0 Hz"),
    *(SessionClosed(reason, 8, 1) for reason in CloseReason),
]

DECISIONS = [
    DecisionMessage(Decision(SESSION, 0, Action.SILENT), 1, 2, model_version=3),
    DecisionMessage(
        Decision(
            SESSION,
            9,
            Action.RESPOND,
            (TurnStart(1, Kind.ADVICE, "urgent"), TurnStart(2, Kind.TRANSCRIPT)),
        ),
        captured_unix_us=1_764_000_000_000_000,
        decided_unix_us=1_764_000_000_100_000,
        last=True,
        dropped=Overrun(0, 4),
    ),
]

CHANGES: list[SessionChange] = [
    Opened(SPEC),
    Opened(SessionSpec()),
    Instructed("stop"),
    TurnCancelled(3),
    Closed("idle"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_every_event_comes_back_as_it_went(event: Event) -> None:
    told = CallerEvent(SESSION, event, channel=1)
    assert wire.RESPONSES.load(wire.RESPONSES.dump(told)) == told


@pytest.mark.parametrize("message", DECISIONS)
def test_decisions_come_back_as_they_went(message: DecisionMessage) -> None:
    assert wire.DECISIONS.load(wire.DECISIONS.dump(message)) == message


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
def test_what_happens_to_a_session_comes_back_as_it_went(change: SessionChange) -> None:
    message = SessionMessage(SESSION, 5, change)
    assert wire.SESSIONS.load(wire.SESSIONS.dump(message)) == message


def test_what_a_session_carries_comes_back_as_it_went() -> None:
    message = CarriedMessage(SESSION, 7, bytes(range(256)))
    assert wire.CARRIED.load(wire.CARRIED.dump(message)) == message


def test_a_chunk_of_16_bit_samples_comes_back_exactly() -> None:
    every_value = np.arange(-32768, 32768, dtype=np.float32)
    for start in range(0, len(every_value) - CHUNK_SAMPLES, CHUNK_SAMPLES):
        pcm = every_value[start : start + CHUNK_SAMPLES] / np.float32(32768)
        message = AudioMessage(Chunk(SESSION, 3, pcm, samples=100, last=True), 77)
        back = wire.AUDIO.load(wire.AUDIO.dump(message))
        np.testing.assert_array_equal(back.chunk.pcm, pcm)
        assert (back.chunk.session_id, back.chunk.index) == (SESSION, 3)
        assert (back.chunk.samples, back.chunk.last, back.captured_unix_us) == (100, True, 77)


def test_other_samples_come_back_within_half_a_step_and_full_scale_does_not_wrap() -> None:
    pcm = np.linspace(-1, 1, CHUNK_SAMPLES, dtype=np.float32)
    back = wire.AUDIO.load(wire.AUDIO.dump(AudioMessage(Chunk(SESSION, 0, pcm), 0))).chunk.pcm
    np.testing.assert_allclose(back[:-1], pcm[:-1], atol=0.5001 / 32768)
    assert back[-1] == np.float32(32767 / 32768)


@pytest.mark.parametrize(
    "tensor",
    [
        np.arange(12, dtype="<f4").reshape(3, 4),
        np.arange(12, dtype="<f4").reshape(3, 4).T,  # not in C order in memory
        np.arange(6, dtype=">i2").reshape(1, 2, 3),
        np.array([[True, False]]),
        np.array([0.5], np.float16),
        np.zeros((0, 80), np.float32),
        np.array(3.5),
    ],
    ids=lambda tensor: f"{tensor.dtype.str} {tensor.shape}",
)
def test_tensors_of_every_type_and_shape_come_back(tensor: Any) -> None:
    tensors = {"frames": tensor, "other": np.zeros(2, np.uint8)}
    message = FeaturesMessage(Features(SESSION, 4, tensors, last=True, version=3), 9)
    back = wire.FEATURES.load(wire.FEATURES.dump(message))
    assert back.features.tensors.keys() == tensors.keys()
    assert back.features.tensors["frames"].dtype == tensor.dtype
    np.testing.assert_array_equal(back.features.tensors["frames"], tensor)
    read = back.features
    assert (read.index, read.last, read.version, back.captured_unix_us) == (4, True, 3, 9)


def a_tensor(**changed: Any) -> pb.ChunkFeatures:
    tensor = {"name": "frames", "dtype": "<f4", "shape": [2], "data": bytes(8), **changed}
    return pb.ChunkFeatures(session_id=SESSION, tensors=[pb.Tensor(**tensor)])


def a_chunk(**changed: Any) -> pb.AudioChunk:
    fields = {"session_id": SESSION, "pcm_s16le": bytes(2 * CHUNK_SAMPLES), "samples": 1, **changed}
    return pb.AudioChunk(**fields)


WRONG: dict[str, tuple[wire.TopicType[Any], Message, str]] = {
    "too few bytes": (wire.FEATURES, a_tensor(data=bytes(7)), "takes 8 bytes, got 7"),
    "too many bytes": (wire.FEATURES, a_tensor(data=bytes(12)), "takes 8 bytes, got 12"),
    "negative length": (wire.FEATURES, a_tensor(shape=[-2]), "shape"),
    "huge shape": (wire.FEATURES, a_tensor(shape=[2**31 - 1] * 4), "got 8"),
    "too many dimensions": (wire.FEATURES, a_tensor(shape=[1] * 99 + [2]), "cannot have"),
    "nothing, but endless": (
        wire.FEATURES,
        a_tensor(shape=[0] + [2**31 - 1] * 4, data=b""),
        "cannot have",
    ),
    "no type": (wire.FEATURES, a_tensor(dtype=""), "''"),
    "pointers": (wire.FEATURES, a_tensor(dtype="O"), "'O'"),
    "records": (wire.FEATURES, a_tensor(dtype="<f4,<f4"), "'<f4,<f4'"),
    "text": (wire.FEATURES, a_tensor(dtype="<U2"), "'<U2'"),
    "a type by its nickname": (wire.FEATURES, a_tensor(dtype="float32"), "'float32'"),
    "nonsense type": (wire.FEATURES, a_tensor(dtype="{'a'"), "type"),
    "a tensor twice": (
        wire.FEATURES,
        pb.ChunkFeatures(session_id=SESSION, tensors=[a_tensor().tensors[0]] * 2),
        "twice",
    ),
    "negative index": (wire.FEATURES, pb.ChunkFeatures(session_id=SESSION, index=-1), "index=-1"),
    "a state before the first chunk": (
        wire.CARRIED,
        pb.CarriedState(session_id=SESSION, next_index=-1),
        "index=-1",
    ),
    "half a chunk": (wire.AUDIO, a_chunk(pcm_s16le=bytes(6400)), "got 6400"),
    "too many samples": (wire.AUDIO, a_chunk(samples=CHUNK_SAMPLES + 1), "6401"),
    "a chunk of nobody": (wire.AUDIO, a_chunk(session_id=""), "names no session"),
    "no action": (wire.DECISIONS, pb.Decision(session_id=SESSION), "ACTION_SILENT"),
    "a kind of turn from the future": (
        wire.DECISIONS,
        pb.Decision(
            session_id=SESSION,
            action=pb.ACTION_RESPOND,
            turns=[pb.TurnStart(turn=1, kind=99)],  # type: ignore[arg-type]
        ),
        "99 is no Kind",
    ),
    "nothing happened": (wire.SESSIONS, pb.SessionEvent(session_id=SESSION), "nothing happened"),
    "an ability from the future": (
        wire.SESSIONS,
        pb.SessionEvent(
            session_id=SESSION,
            opened=pb.SessionSpec(abilities=[99]),  # type: ignore[list-item]
        ),
        "99 is no Ability",
    ),
    "an event without content": (wire.RESPONSES, pb.ResponseEvent(session_id=SESSION), "content"),
    "an unknown reason": (
        wire.RESPONSES,
        pb.ResponseEvent(session_id=SESSION, session_closed=pb.SessionClosed(reason="bored")),
        "'bored'",
    ),
}


@pytest.mark.parametrize(("topic", "proto", "named"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_is_refused_by_name(
    topic: wire.TopicType[Any], proto: Message, named: str
) -> None:
    with pytest.raises(BadRequest, match=".*") as refused:
        topic.load(proto.SerializeToString())
    assert named in refused.value.message
    assert refused.value.code in {"bad_message", "unknown_ability"}


@pytest.mark.parametrize("topic", wire.TOPICS, ids=lambda topic: topic.name)
def test_random_bytes_are_an_error_of_ours_and_never_another(topic: wire.TopicType[Any]) -> None:
    rng = random.Random(topic.name)
    refused = 0
    for _ in range(3000):
        try:
            topic.load(rng.randbytes(rng.randrange(1, 60)))
        except BadRequest:
            refused += 1
    assert refused > 2900


@pytest.mark.parametrize("topic", wire.TOPICS, ids=lambda topic: topic.name)
def test_bytes_damaged_on_the_way_are_an_error_of_ours_and_never_another(
    topic: wire.TopicType[Any],
) -> None:
    rng = random.Random(topic.name)
    for data in samples_of(topic):
        for _ in range(500):
            damaged = bytearray(data)
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            try:
                topic.load(bytes(damaged[: rng.randrange(1, len(damaged) + 1)]))
            except BadRequest as error:
                assert error.message


def samples_of(topic: wire.TopicType[Any]) -> list[bytes]:
    chunk = Chunk(SESSION, 0, np.zeros(CHUNK_SAMPLES, np.float32))
    features = Features(SESSION, 0, {"frames": np.ones((2, 3), np.float32)})
    messages: dict[str, list[Any]] = {
        wire.AUDIO.name: [AudioMessage(chunk, 1)],
        wire.FEATURES.name: [FeaturesMessage(features, 1)],
        wire.DECISIONS.name: DECISIONS,
        wire.RESPONSES.name: [CallerEvent(SESSION, event) for event in EVENTS],
        wire.SESSIONS.name: [SessionMessage(SESSION, 5, change) for change in CHANGES],
        wire.CARRIED.name: [CarriedMessage(SESSION, 7, b"state")],
    }
    return [topic.dump(message) for message in messages[topic.name]]


def test_the_table_names_every_topic_once_and_keys_by_session() -> None:
    names = [topic.name for topic in wire.TOPICS] + [wire.DEAD_LETTERS]
    assert sorted(names) == [
        "audio",
        "carried",
        "dead-letters",
        "decisions",
        "features",
        "responses",
        "sessions",
    ]
    assert wire.DECISIONS.key(DECISIONS[0]) == b"s-1"
    assert [topic.name for topic in wire.TOPICS if topic.retention is None] == ["carried"]
    compacted = [topic.name for topic in wire.TOPICS if topic.compacted_after is not None]
    assert compacted == ["sessions", "carried"]
