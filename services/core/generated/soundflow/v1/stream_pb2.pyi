from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACTION_UNSPECIFIED: _ClassVar[Action]
    ACTION_SILENT: _ClassVar[Action]
    ACTION_RESPOND: _ClassVar[Action]

class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KIND_UNSPECIFIED: _ClassVar[Kind]
    KIND_TRANSCRIPT: _ClassVar[Kind]
    KIND_TRANSLATION: _ClassVar[Kind]
    KIND_DESCRIPTION: _ClassVar[Kind]
    KIND_COUNT: _ClassVar[Kind]
    KIND_ADVICE: _ClassVar[Kind]
    KIND_ANSWER: _ClassVar[Kind]
    KIND_NOTICE: _ClassVar[Kind]

class EndReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    END_REASON_UNSPECIFIED: _ClassVar[EndReason]
    END_REASON_COMPLETE: _ClassVar[EndReason]
    END_REASON_INTERRUPTED: _ClassVar[EndReason]
    END_REASON_CANCELLED: _ClassVar[EndReason]
    END_REASON_ERROR: _ClassVar[EndReason]

class Ability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ABILITY_UNSPECIFIED: _ClassVar[Ability]
    ABILITY_TRANSCRIBE: _ClassVar[Ability]
    ABILITY_TRANSLATE: _ClassVar[Ability]
    ABILITY_DESCRIBE: _ClassVar[Ability]
    ABILITY_COUNT: _ClassVar[Ability]
    ABILITY_PROACTIVE: _ClassVar[Ability]
    ABILITY_CHAT: _ClassVar[Ability]
ACTION_UNSPECIFIED: Action
ACTION_SILENT: Action
ACTION_RESPOND: Action
KIND_UNSPECIFIED: Kind
KIND_TRANSCRIPT: Kind
KIND_TRANSLATION: Kind
KIND_DESCRIPTION: Kind
KIND_COUNT: Kind
KIND_ADVICE: Kind
KIND_ANSWER: Kind
KIND_NOTICE: Kind
END_REASON_UNSPECIFIED: EndReason
END_REASON_COMPLETE: EndReason
END_REASON_INTERRUPTED: EndReason
END_REASON_CANCELLED: EndReason
END_REASON_ERROR: EndReason
ABILITY_UNSPECIFIED: Ability
ABILITY_TRANSCRIBE: Ability
ABILITY_TRANSLATE: Ability
ABILITY_DESCRIBE: Ability
ABILITY_COUNT: Ability
ABILITY_PROACTIVE: Ability
ABILITY_CHAT: Ability

class AudioChunk(_message.Message):
    __slots__ = ("session_id", "index", "pcm_s16le", "samples", "last", "captured_unix_us")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PCM_S16LE_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    index: int
    pcm_s16le: bytes
    samples: int
    last: bool
    captured_unix_us: int
    def __init__(self, session_id: _Optional[str] = ..., index: _Optional[int] = ..., pcm_s16le: _Optional[bytes] = ..., samples: _Optional[int] = ..., last: _Optional[bool] = ..., captured_unix_us: _Optional[int] = ...) -> None: ...

class Tensor(_message.Message):
    __slots__ = ("name", "dtype", "shape", "data")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    name: str
    dtype: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    data: bytes
    def __init__(self, name: _Optional[str] = ..., dtype: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., data: _Optional[bytes] = ...) -> None: ...

class ChunkFeatures(_message.Message):
    __slots__ = ("session_id", "index", "tensors", "last", "captured_unix_us", "model_version")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    index: int
    tensors: _containers.RepeatedCompositeFieldContainer[Tensor]
    last: bool
    captured_unix_us: int
    model_version: int
    def __init__(self, session_id: _Optional[str] = ..., index: _Optional[int] = ..., tensors: _Optional[_Iterable[_Union[Tensor, _Mapping]]] = ..., last: _Optional[bool] = ..., captured_unix_us: _Optional[int] = ..., model_version: _Optional[int] = ...) -> None: ...

class CarriedState(_message.Message):
    __slots__ = ("session_id", "next_index", "state")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    NEXT_INDEX_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    next_index: int
    state: bytes
    def __init__(self, session_id: _Optional[str] = ..., next_index: _Optional[int] = ..., state: _Optional[bytes] = ...) -> None: ...

class TurnStart(_message.Message):
    __slots__ = ("turn", "kind", "emotion")
    TURN_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    EMOTION_FIELD_NUMBER: _ClassVar[int]
    turn: int
    kind: Kind
    emotion: str
    def __init__(self, turn: _Optional[int] = ..., kind: _Optional[_Union[Kind, str]] = ..., emotion: _Optional[str] = ...) -> None: ...

class DroppedChunks(_message.Message):
    __slots__ = ("first", "last")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...

class Decision(_message.Message):
    __slots__ = ("session_id", "index", "action", "turns", "last", "captured_unix_us", "decided_unix_us", "dropped", "model_version")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TURNS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    DECIDED_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    index: int
    action: Action
    turns: _containers.RepeatedCompositeFieldContainer[TurnStart]
    last: bool
    captured_unix_us: int
    decided_unix_us: int
    dropped: DroppedChunks
    model_version: int
    def __init__(self, session_id: _Optional[str] = ..., index: _Optional[int] = ..., action: _Optional[_Union[Action, str]] = ..., turns: _Optional[_Iterable[_Union[TurnStart, _Mapping]]] = ..., last: _Optional[bool] = ..., captured_unix_us: _Optional[int] = ..., decided_unix_us: _Optional[int] = ..., dropped: _Optional[_Union[DroppedChunks, _Mapping]] = ..., model_version: _Optional[int] = ...) -> None: ...

class ResponseEvent(_message.Message):
    __slots__ = ("session_id", "channel", "session_opened", "decision", "response_started", "response_text", "response_ended", "gap", "overrun", "error", "session_closed", "session_resumed", "id", "previous_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SESSION_OPENED_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_STARTED_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_TEXT_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_ENDED_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    OVERRUN_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SESSION_CLOSED_FIELD_NUMBER: _ClassVar[int]
    SESSION_RESUMED_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    channel: int
    session_opened: SessionOpened
    decision: DecisionMade
    response_started: ResponseStarted
    response_text: ResponseText
    response_ended: ResponseEnded
    gap: AudioSpan
    overrun: AudioSpan
    error: ErrorEvent
    session_closed: SessionClosed
    session_resumed: SessionResumed
    id: int
    previous_id: int
    def __init__(self, session_id: _Optional[str] = ..., channel: _Optional[int] = ..., session_opened: _Optional[_Union[SessionOpened, _Mapping]] = ..., decision: _Optional[_Union[DecisionMade, _Mapping]] = ..., response_started: _Optional[_Union[ResponseStarted, _Mapping]] = ..., response_text: _Optional[_Union[ResponseText, _Mapping]] = ..., response_ended: _Optional[_Union[ResponseEnded, _Mapping]] = ..., gap: _Optional[_Union[AudioSpan, _Mapping]] = ..., overrun: _Optional[_Union[AudioSpan, _Mapping]] = ..., error: _Optional[_Union[ErrorEvent, _Mapping]] = ..., session_closed: _Optional[_Union[SessionClosed, _Mapping]] = ..., session_resumed: _Optional[_Union[SessionResumed, _Mapping]] = ..., id: _Optional[int] = ..., previous_id: _Optional[int] = ...) -> None: ...

class SessionOpened(_message.Message):
    __slots__ = ("session_id", "model", "chunk_ms", "resume_token")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CHUNK_MS_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    model: str
    chunk_ms: int
    resume_token: str
    def __init__(self, session_id: _Optional[str] = ..., model: _Optional[str] = ..., chunk_ms: _Optional[int] = ..., resume_token: _Optional[str] = ...) -> None: ...

class SessionResumed(_message.Message):
    __slots__ = ("session_id", "model", "chunk_ms", "chunk")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CHUNK_MS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    model: str
    chunk_ms: int
    chunk: int
    def __init__(self, session_id: _Optional[str] = ..., model: _Optional[str] = ..., chunk_ms: _Optional[int] = ..., chunk: _Optional[int] = ...) -> None: ...

class DecisionMade(_message.Message):
    __slots__ = ("chunk", "end_ms", "decision", "latency_ms")
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    chunk: int
    end_ms: int
    decision: Action
    latency_ms: float
    def __init__(self, chunk: _Optional[int] = ..., end_ms: _Optional[int] = ..., decision: _Optional[_Union[Action, str]] = ..., latency_ms: _Optional[float] = ...) -> None: ...

class ResponseStarted(_message.Message):
    __slots__ = ("turn", "chunk", "kind", "emotion")
    TURN_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    EMOTION_FIELD_NUMBER: _ClassVar[int]
    turn: int
    chunk: int
    kind: Kind
    emotion: str
    def __init__(self, turn: _Optional[int] = ..., chunk: _Optional[int] = ..., kind: _Optional[_Union[Kind, str]] = ..., emotion: _Optional[str] = ...) -> None: ...

class Word(_message.Message):
    __slots__ = ("text", "start_ms", "end_ms")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    text: str
    start_ms: int
    end_ms: int
    def __init__(self, text: _Optional[str] = ..., start_ms: _Optional[int] = ..., end_ms: _Optional[int] = ...) -> None: ...

class ResponseText(_message.Message):
    __slots__ = ("turn", "sequence", "text", "final", "words")
    TURN_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    turn: int
    sequence: int
    text: str
    final: bool
    words: _containers.RepeatedCompositeFieldContainer[Word]
    def __init__(self, turn: _Optional[int] = ..., sequence: _Optional[int] = ..., text: _Optional[str] = ..., final: _Optional[bool] = ..., words: _Optional[_Iterable[_Union[Word, _Mapping]]] = ...) -> None: ...

class ResponseEnded(_message.Message):
    __slots__ = ("turn", "reason")
    TURN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    turn: int
    reason: EndReason
    def __init__(self, turn: _Optional[int] = ..., reason: _Optional[_Union[EndReason, str]] = ...) -> None: ...

class AudioSpan(_message.Message):
    __slots__ = ("start_ms", "end_ms", "chunks")
    START_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    start_ms: int
    end_ms: int
    chunks: int
    def __init__(self, start_ms: _Optional[int] = ..., end_ms: _Optional[int] = ..., chunks: _Optional[int] = ...) -> None: ...

class ErrorEvent(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class SessionClosed(_message.Message):
    __slots__ = ("reason", "chunks", "turns")
    REASON_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    TURNS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    chunks: int
    turns: int
    def __init__(self, reason: _Optional[str] = ..., chunks: _Optional[int] = ..., turns: _Optional[int] = ...) -> None: ...

class SessionSpec(_message.Message):
    __slots__ = ("instruction", "abilities", "source_language", "target_language", "tenant", "model")
    INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    ABILITIES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    TARGET_LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    instruction: str
    abilities: _containers.RepeatedScalarFieldContainer[Ability]
    source_language: str
    target_language: str
    tenant: str
    model: str
    def __init__(self, instruction: _Optional[str] = ..., abilities: _Optional[_Iterable[_Union[Ability, str]]] = ..., source_language: _Optional[str] = ..., target_language: _Optional[str] = ..., tenant: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class SessionEvent(_message.Message):
    __slots__ = ("session_id", "at_unix_us", "opened", "instructed", "cancelled_turn", "closed", "caller_told")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    AT_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_TURN_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    CALLER_TOLD_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    at_unix_us: int
    opened: SessionSpec
    instructed: str
    cancelled_turn: int
    closed: str
    caller_told: bool
    def __init__(self, session_id: _Optional[str] = ..., at_unix_us: _Optional[int] = ..., opened: _Optional[_Union[SessionSpec, _Mapping]] = ..., instructed: _Optional[str] = ..., cancelled_turn: _Optional[int] = ..., closed: _Optional[str] = ..., caller_told: _Optional[bool] = ...) -> None: ...
