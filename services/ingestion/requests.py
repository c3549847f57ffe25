"""The JSON messages of callers, checked field by field (README.md beside this file)."""

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from services.core.errors import BadRequest, ProtocolBroken
from services.ingestion.resuming import Claim
from soundflow.audio import MAX_CHANNELS, SAMPLE_RATE_HZ, AudioError, AudioFormat, Encoding
from soundflow.interaction import Ability, SessionSpec

Layout = Literal["mix", "split"]

# As large as the same fields may be in protobuf, which is how they go on.
MAX_INT32 = 2**31 - 1
MAX_INT64 = 2**63 - 1


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AudioFields(_Request):
    """How the audio is written, and what becomes of two channels."""

    encoding: Encoding = Encoding.PCM_S16LE
    sample_rate_hz: int = SAMPLE_RATE_HZ
    channels: int = 1
    layout: Layout = "mix"

    def format(self) -> AudioFormat:
        """Return what the bytes are. BadRequest `bad_rate`, `bad_channels`."""
        try:
            return AudioFormat(self.encoding, self.sample_rate_hz, self.channels)
        except AudioError as error:
            raise BadRequest(error.code, str(error)) from error


class SpecFields(_Request):
    """What the caller wants of a session; all may be left out."""

    instruction: str = ""
    abilities: tuple[str, ...] = ()
    source_language: str = ""
    target_language: str = ""
    tenant: str = ""
    model: str = ""

    def spec(self) -> SessionSpec:
        """Return it as the services know it. BadRequest `unknown_ability`."""
        return SessionSpec(
            instruction=self.instruction,
            abilities=frozenset(_ability(name) for name in self.abilities),
            source_language=self.source_language,
            target_language=self.target_language,
            tenant=self.tenant or "default",
            model=self.model,
        )


class OpenRequest(SpecFields):
    """First message of a stream."""

    type: Literal["session.open"]
    audio: AudioFields = AudioFields()


class ResumeFields(_Request):
    """One session to go on with."""

    session_id: str = Field(min_length=1)
    resume_token: str
    last_event_id: int = Field(default=0, ge=0, le=MAX_INT64)

    def claim(self) -> Claim:
        """Return it as ingestion knows it."""
        return Claim(self.session_id, self.resume_token, self.last_event_id)


class ResumeRequest(_Request):
    """First message of a stream that goes on with sessions of an earlier one."""

    type: Literal["session.resume"]
    sessions: tuple[ResumeFields, ...] = Field(min_length=1, max_length=MAX_CHANNELS)
    audio: AudioFields = AudioFields()


class TaskRequest(SpecFields):
    """What a task is to do with its file."""

    layout: Layout = "mix"


class InstructRequest(_Request):
    """A new instruction."""

    type: Literal["instruct"]
    text: str


class CancelRequest(_Request):
    """The turn of this number is to end."""

    type: Literal["cancel"]
    turn: int = Field(ge=1, le=MAX_INT32)


class TimestampRequest(_Request):
    """Where the next audio message begins on the sender's clock."""

    type: Literal["audio.timestamp"]
    timestamp_ms: int = Field(ge=0, le=MAX_INT64)


class AudioEndRequest(_Request):
    """No more audio comes."""

    type: Literal["audio.end"]


LaterRequest = InstructRequest | CancelRequest | TimestampRequest | AudioEndRequest
FirstRequest = OpenRequest | ResumeRequest
StreamRequest = FirstRequest | LaterRequest

RequestT = TypeVar("RequestT")

_STREAM = TypeAdapter[StreamRequest](Annotated[StreamRequest, Field(discriminator="type")])
_TASK = TypeAdapter(TaskRequest)

# What pydantic calls a fault: the word for it on our wire.
_CODES = {
    "json_invalid": "bad_json",
    "union_tag_invalid": "unknown_type",
    "union_tag_not_found": "unknown_type",
    "extra_forbidden": "unknown_field",
}


def parse_stream(text: str) -> StreamRequest:
    """Read a text message of a stream. ProtocolBroken names the field."""
    return _parse(_STREAM, text)


def parse_task(text: str | bytes) -> TaskRequest:
    """Read a task's spec. ProtocolBroken names the field."""
    return _parse(_TASK, text)


def _parse(adapter: TypeAdapter[RequestT], text: str | bytes) -> RequestT:
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in fault["loc"])
        where = f"{field}: " if field else ""
        code = _CODES.get(fault["type"], "bad_field")
        raise ProtocolBroken(code, f"{where}{fault['msg']}") from error


def _ability(name: str) -> Ability:
    try:
        return Ability(name)
    except ValueError:
        known = ", ".join(Ability)
        raise BadRequest("unknown_ability", f"{name!r} is no ability; use {known}") from None
