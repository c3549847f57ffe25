from services.core.generated.soundflow.v1 import stream_pb2 as _stream_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Encoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENCODING_UNSPECIFIED: _ClassVar[Encoding]
    ENCODING_PCM_S16LE: _ClassVar[Encoding]
    ENCODING_PCM_F32LE: _ClassVar[Encoding]
    ENCODING_MULAW: _ClassVar[Encoding]
    ENCODING_ALAW: _ClassVar[Encoding]

class Channels(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANNELS_UNSPECIFIED: _ClassVar[Channels]
    CHANNELS_MIX: _ClassVar[Channels]
    CHANNELS_SPLIT: _ClassVar[Channels]
ENCODING_UNSPECIFIED: Encoding
ENCODING_PCM_S16LE: Encoding
ENCODING_PCM_F32LE: Encoding
ENCODING_MULAW: Encoding
ENCODING_ALAW: Encoding
CHANNELS_UNSPECIFIED: Channels
CHANNELS_MIX: Channels
CHANNELS_SPLIT: Channels

class AudioFormat(_message.Message):
    __slots__ = ("encoding", "sample_rate_hz", "channels", "layout")
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    encoding: Encoding
    sample_rate_hz: int
    channels: int
    layout: Channels
    def __init__(self, encoding: _Optional[_Union[Encoding, str]] = ..., sample_rate_hz: _Optional[int] = ..., channels: _Optional[int] = ..., layout: _Optional[_Union[Channels, str]] = ...) -> None: ...

class OpenSession(_message.Message):
    __slots__ = ("spec", "format")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    spec: _stream_pb2.SessionSpec
    format: AudioFormat
    def __init__(self, spec: _Optional[_Union[_stream_pb2.SessionSpec, _Mapping]] = ..., format: _Optional[_Union[AudioFormat, _Mapping]] = ...) -> None: ...

class ResumeSession(_message.Message):
    __slots__ = ("session_id", "resume_token", "last_event_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    LAST_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    resume_token: str
    last_event_id: int
    def __init__(self, session_id: _Optional[str] = ..., resume_token: _Optional[str] = ..., last_event_id: _Optional[int] = ...) -> None: ...

class ResumeSessions(_message.Message):
    __slots__ = ("sessions", "format")
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedCompositeFieldContainer[ResumeSession]
    format: AudioFormat
    def __init__(self, sessions: _Optional[_Iterable[_Union[ResumeSession, _Mapping]]] = ..., format: _Optional[_Union[AudioFormat, _Mapping]] = ...) -> None: ...

class AudioData(_message.Message):
    __slots__ = ("data", "timestamp_ms")
    DATA_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    timestamp_ms: int
    def __init__(self, data: _Optional[bytes] = ..., timestamp_ms: _Optional[int] = ...) -> None: ...

class StreamRequest(_message.Message):
    __slots__ = ("open", "audio", "instruction", "cancel_turn", "resume")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    CANCEL_TURN_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    open: OpenSession
    audio: AudioData
    instruction: str
    cancel_turn: int
    resume: ResumeSessions
    def __init__(self, open: _Optional[_Union[OpenSession, _Mapping]] = ..., audio: _Optional[_Union[AudioData, _Mapping]] = ..., instruction: _Optional[str] = ..., cancel_turn: _Optional[int] = ..., resume: _Optional[_Union[ResumeSessions, _Mapping]] = ...) -> None: ...

class InstructRequest(_message.Message):
    __slots__ = ("session_id", "text")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    text: str
    def __init__(self, session_id: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class InstructResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class PastTurn(_message.Message):
    __slots__ = ("turn", "kind", "text", "chunk")
    TURN_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    turn: int
    kind: _stream_pb2.Kind
    text: str
    chunk: int
    def __init__(self, turn: _Optional[int] = ..., kind: _Optional[_Union[_stream_pb2.Kind, str]] = ..., text: _Optional[str] = ..., chunk: _Optional[int] = ...) -> None: ...

class GetSessionResponse(_message.Message):
    __slots__ = ("session_id", "spec", "last_index", "turns", "opened_unix_us", "closed")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    LAST_INDEX_FIELD_NUMBER: _ClassVar[int]
    TURNS_FIELD_NUMBER: _ClassVar[int]
    OPENED_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    spec: _stream_pb2.SessionSpec
    last_index: int
    turns: _containers.RepeatedCompositeFieldContainer[PastTurn]
    opened_unix_us: int
    closed: str
    def __init__(self, session_id: _Optional[str] = ..., spec: _Optional[_Union[_stream_pb2.SessionSpec, _Mapping]] = ..., last_index: _Optional[int] = ..., turns: _Optional[_Iterable[_Union[PastTurn, _Mapping]]] = ..., opened_unix_us: _Optional[int] = ..., closed: _Optional[str] = ...) -> None: ...

class CloseSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class CloseSessionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RunTaskRequest(_message.Message):
    __slots__ = ("open", "data")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    open: OpenTask
    data: bytes
    def __init__(self, open: _Optional[_Union[OpenTask, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class OpenTask(_message.Message):
    __slots__ = ("spec", "layout")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    spec: _stream_pb2.SessionSpec
    layout: Channels
    def __init__(self, spec: _Optional[_Union[_stream_pb2.SessionSpec, _Mapping]] = ..., layout: _Optional[_Union[Channels, str]] = ...) -> None: ...

class RunTaskResponse(_message.Message):
    __slots__ = ("event", "progress")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    event: _stream_pb2.ResponseEvent
    progress: TaskProgress
    def __init__(self, event: _Optional[_Union[_stream_pb2.ResponseEvent, _Mapping]] = ..., progress: _Optional[_Union[TaskProgress, _Mapping]] = ...) -> None: ...

class TaskProgress(_message.Message):
    __slots__ = ("done_ms", "total_ms")
    DONE_MS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MS_FIELD_NUMBER: _ClassVar[int]
    done_ms: int
    total_ms: int
    def __init__(self, done_ms: _Optional[int] = ..., total_ms: _Optional[int] = ...) -> None: ...
